//! Whatever the peer sends, nothing panics, and without the password nobody gets in.

use mailstead_names::Secret;
use mailstead_sasl::server::{Answer, Query, Step};
use mailstead_sasl::{
    ChannelBinding, CramMd5Secret, Mechanism, Nonce, PlusOffered, SALT_LEN, ScramVerifier, client, server,
};
use proptest::prelude::*;

fn mechanism() -> impl Strategy<Value = Mechanism> {
    let others = [Mechanism::OAuthBearer];
    proptest::sample::select([&Mechanism::PASSWORD_STRONGEST_FIRST[..], &others].concat())
}

/// Pieces of what peers say, and anything else.
fn message() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        "(n|y|p=tls-exporter),(a=[a-z=,]{0,3})?,(n=[a-z]{0,2},)?r=[!-~]{0,4}".prop_map(String::into_bytes),
        "c=[a-zA-Z0-9=]{0,8},r=[!-~]{0,30},p=[a-zA-Z0-9=]{0,8}".prop_map(String::into_bytes),
        "r=[!-~]{0,30},s=[a-zA-Z0-9=]{0,8},i=[0-9]{0,12}".prop_map(String::into_bytes),
        "[a-z\0\u{1}=,]{0,20}".prop_map(String::into_bytes),
        proptest::collection::vec(any::<u8>(), 0..60),
    ]
}

fn answer(query: Query) -> Answer {
    match query {
        Query::Scram { hash, username, .. } => Answer::Scram(ScramVerifier::fake(hash, b"key", &username, 4096)),
        Query::CramMd5 { username } => Answer::CramMd5(CramMd5Secret::fake(b"key", &username)),
        _ => Answer::Reject,
    }
}

proptest! {
    #[test]
    fn no_server_exchange_panics_or_succeeds(
        mechanism in mechanism(),
        initial in proptest::option::of(message()),
        responses in proptest::collection::vec(message(), 4),
    ) {
        let options = server::Options {
            channel_binding: Some(ChannelBinding::tls_exporter([7; 32])),
            plus: PlusOffered::NotOffered,
            nonce: Nonce::from_random([2; 18]),
            hostname: "mail.example".into(),
        };
        let mut exchange = server::Exchange::new(mechanism, options);
        let mut step = exchange.start(initial.as_deref());
        for response in &responses {
            if let Step::Verify(query) = step {
                step = exchange.supply(answer(query));
            }
            match step {
                Step::Done(outcome) => {
                    prop_assert!(outcome.is_err());
                    break;
                }
                _ => step = exchange.step(response),
            }
        }
    }

    #[test]
    fn no_client_exchange_panics(mechanism in mechanism(), challenges in proptest::collection::vec(message(), 3)) {
        let credentials = client::Credentials {
            authzid: None,
            authcid: "user".into(),
            password: Secret::new("pencil".into()),
        };
        let options = client::Options {
            channel_binding: Some(ChannelBinding::tls_exporter([7; 32])),
            plus: PlusOffered::NotOffered,
            nonce: Nonce::from_printable("a").unwrap(),
        };
        let mut exchange = client::Exchange::new(mechanism, credentials, options);
        exchange.start().unwrap();
        for challenge in &challenges {
            let _ = exchange.step(challenge);
        }
    }

    #[test]
    fn cram_md5_states_give_the_digest_of_the_whole_key(password in "\\PC{0,100}", challenge in "\\PC{0,150}") {
        use hmac::{Hmac, KeyInit as _, Mac as _};
        let mut mac = Hmac::<md5::Md5>::new_from_slice(password.as_bytes()).unwrap();
        mac.update(challenge.as_bytes());
        let expected: String = mac.finalize().into_bytes().iter().map(|octet| format!("{octet:02x}")).collect();
        let credentials =
            client::Credentials { authzid: None, authcid: "user".into(), password: Secret::new(password) };
        let options = client::Options {
            channel_binding: None,
            plus: PlusOffered::NotOffered,
            nonce: Nonce::from_random([0; 18]),
        };
        let mut exchange = client::Exchange::new(Mechanism::CramMd5, credentials, options);
        exchange.start().unwrap();
        let response = exchange.step(challenge.as_bytes()).unwrap();
        prop_assert_eq!(String::from_utf8(response).unwrap(), format!("user {expected}"));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]

    /// Names and passwords of any kind survive the way through SCRAM.
    #[test]
    fn scram_agrees_about_any_password(username in "[^\\pC]{1,20}", password in "[^\\pC]{1,20}") {
        let credentials = client::Credentials {
            authzid: None,
            authcid: username.clone(),
            password: Secret::new(password.clone()),
        };
        let nonce = Nonce::from_random([1; 18]);
        let options =
            client::Options { channel_binding: None, plus: PlusOffered::NotOffered, nonce: nonce.clone() };
        let mut client = client::Exchange::new(Mechanism::ScramSha256, credentials, options);
        let options = server::Options {
            channel_binding: None,
            plus: PlusOffered::NotOffered,
            nonce,
            hostname: "mail.example".into(),
        };
        let mut server = server::Exchange::new(Mechanism::ScramSha256, options);
        let first = client.start().unwrap().unwrap();
        let Step::Verify(Query::Scram { hash, .. }) = server.start(Some(&first)) else { panic!() };
        let prepared = mailstead_sasl::prepare::password(&password).unwrap();
        let verifier = ScramVerifier::derive(hash, &prepared, &[3; SALT_LEN], 4096);
        let Step::Challenge(challenge) = server.supply(Answer::Scram(verifier)) else { panic!() };
        let Step::Challenge(last) = server.step(&client.step(&challenge).unwrap()) else { panic!("proof") };
        client.step(&last).unwrap();
        prop_assert!(client.finish(None).is_ok());
    }
}
