//! The server's side of every mechanism against a hostile client: it never panics and never lets in.
#![no_main]

use libfuzzer_sys::fuzz_target;
use mailstead_sasl::server::{Answer, Exchange, Options, Query, Step};
use mailstead_sasl::{ChannelBinding, CramMd5Secret, Mechanism, Nonce, PlusOffered, ScramVerifier};

const MECHANISMS: [Mechanism; 9] = [
    Mechanism::ScramSha256Plus,
    Mechanism::ScramSha256,
    Mechanism::ScramSha1Plus,
    Mechanism::ScramSha1,
    Mechanism::CramMd5,
    Mechanism::Plain,
    Mechanism::Login,
    Mechanism::External,
    Mechanism::OAuthBearer,
];

fn answer(query: Query) -> Answer {
    match query {
        Query::Scram { hash, username, .. } => Answer::Scram(ScramVerifier::fake(hash, b"key", &username, 4096)),
        Query::CramMd5 { username } => Answer::CramMd5(CramMd5Secret::fake(b"key", &username)),
        _ => Answer::Reject,
    }
}

fuzz_target!(|data: &[u8]| {
    let Some((first, rest)) = data.split_first() else { return };
    let options = Options {
        channel_binding: Some(ChannelBinding::tls_exporter([7; 32])),
        plus: if first & 0x80 == 0 { PlusOffered::Offered } else { PlusOffered::NotOffered },
        nonce: Nonce::from_random([2; 18]),
        hostname: "mail.example".into(),
    };
    let mut exchange = Exchange::new(MECHANISMS[usize::from(first & 0x7f) % MECHANISMS.len()], options);
    // Messages are separated by an octet that no mechanism uses.
    let mut messages = rest.split(|octet| *octet == 0xfe);
    let mut step = exchange.start(if first & 0x40 == 0 { messages.next() } else { None });
    loop {
        step = match step {
            Step::Verify(query) => exchange.supply(answer(query)),
            Step::Challenge(_) => match messages.next() {
                Some(message) => exchange.step(message),
                None => exchange.abort(),
            },
            Step::Done(outcome) => {
                assert!(outcome.is_err());
                return;
            }
        };
    }
});
