//! The client's side of every mechanism against a hostile server: it never panics, and SCRAM never believes an impostor.
#![no_main]

use libfuzzer_sys::fuzz_target;
use mailstead_names::Secret;
use mailstead_sasl::client::{Credentials, Exchange, Options};
use mailstead_sasl::{ChannelBinding, Mechanism, Nonce, PlusOffered};

fuzz_target!(|data: &[u8]| {
    let Some((first, rest)) = data.split_first() else { return };
    // The work that a server may ask for is bounded, but the bound is too slow for fuzzing.
    if rest.windows(7).any(|window| window.iter().all(u8::is_ascii_digit)) {
        return;
    }
    let mechanisms = Mechanism::PASSWORD_STRONGEST_FIRST;
    let mechanism = mechanisms[usize::from(*first) % mechanisms.len()];
    let credentials = Credentials { authzid: None, authcid: "user".into(), password: Secret::new("pencil".to_owned()) };
    let options = Options {
        channel_binding: Some(ChannelBinding::tls_exporter([7; 32])),
        plus: PlusOffered::NotOffered,
        nonce: Nonce::from_printable("n").expect("printable"),
    };
    let mut exchange = Exchange::new(mechanism, credentials, options);
    exchange.start().expect("the channel can be bound");
    for challenge in rest.split(|octet| *octet == 0xfe) {
        if exchange.step(challenge).is_err() {
            break;
        }
    }
    assert!(exchange.finish(None).is_err() || mechanism.scram_hash().is_none());
});
