//! The validator on a signed world in memory, driven as a resolver drives it: what is true is found, what is false is
//! never called secure, and nobody makes it work too much.

mod absence;
mod arbitrary;
mod chain;
mod crypto;
mod handmade;
mod hostile;
mod recombination;
mod rfc4035;
mod rfc5155;
mod rfc6672;
mod tampering;
mod truth;
mod walker;
mod yardstick;
