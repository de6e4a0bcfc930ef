//! The resolver against a small signed world in memory, in paused time.
//!
//! Whom it asks is `world`'s: resolvers that are honest, that leave things out and that validate, and the authorities of
//! the zones. Each test names one thing that the resolver does, or does not let itself be talked into.

mod aliases;
mod anchors;
mod attacks;
mod counted;
mod crowds;
mod hostile;
mod kept;
mod strippers;
mod traced;
mod trusted;
mod truth;
mod unvalidated;
mod validated;
mod ways;
mod world;
