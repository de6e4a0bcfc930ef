//! Our client against our server: every mechanism, and each way in which an exchange must fail.

use mailstead_names::Secret;
use mailstead_sasl::server::{Answer, Outcome, Query, Step, Success};
use mailstead_sasl::{
    ChannelBinding, CramMd5Secret, Error, Mechanism, Nonce, PlusOffered, SALT_LEN, ScramVerifier, client, server,
};

const PASSWORD: &str = "correct horse, staple=ü";

/// An exchange that goes well. Each test changes one thing.
struct Scene {
    mechanism: Mechanism,
    authzid: Option<&'static str>,
    username: &'static str,
    password: &'static str,
    client_binding: Option<ChannelBinding>,
    client_plus: PlusOffered,
    server_binding: Option<ChannelBinding>,
    server_plus: PlusOffered,
    answer: fn(Query) -> Answer,
    /// Changes what goes from client to server.
    interfere: fn(usize, Vec<u8>) -> Vec<u8>,
}

fn scene(mechanism: Mechanism) -> Scene {
    let binding = Some(ChannelBinding::tls_exporter([7; 32]));
    Scene {
        mechanism,
        authzid: None,
        username: "jürgen, =@example",
        password: PASSWORD,
        client_binding: binding.clone(),
        client_plus: PlusOffered::Offered,
        server_binding: binding,
        server_plus: PlusOffered::Offered,
        answer: know_everybody,
        interfere: |_, octets| octets,
    }
}

fn know_everybody(query: Query) -> Answer {
    match query {
        Query::Password { password, .. } if password.expose() == PASSWORD => Answer::Accept,
        Query::Password { .. } => Answer::Reject,
        Query::Scram { hash, .. } => {
            Answer::Scram(ScramVerifier::derive(hash, &Secret::new(PASSWORD.into()), &[9; SALT_LEN], 4096))
        }
        Query::CramMd5 { .. } => Answer::CramMd5(CramMd5Secret::derive(PASSWORD)),
        Query::OAuthBearer { token, .. } if token.expose() == PASSWORD => Answer::Accept,
        Query::OAuthBearer { .. } => Answer::Reject,
        Query::External { .. } => Answer::Accept,
        other => panic!("{other:?}"),
    }
}

fn know_nobody(query: Query) -> Answer {
    match query {
        Query::Scram { hash, username, .. } => Answer::Scram(ScramVerifier::fake(hash, b"key", &username, 4096)),
        Query::CramMd5 { username } => Answer::CramMd5(CramMd5Secret::fake(b"key", &username)),
        _ => Answer::Reject,
    }
}

impl Scene {
    /// Runs to the end and says what the server and what the client make of it.
    fn play(self) -> (Outcome, Result<(), Error>) {
        let mut client = client::Exchange::new(
            self.mechanism,
            client::Credentials {
                authzid: self.authzid.map(str::to_owned),
                authcid: self.username.to_owned(),
                password: Secret::new(self.password.to_owned()),
            },
            client::Options {
                channel_binding: self.client_binding.clone(),
                plus: self.client_plus,
                nonce: Nonce::from_random([1; 18]),
            },
        );
        let mut server = server::Exchange::new(
            self.mechanism,
            server::Options {
                channel_binding: self.server_binding.clone(),
                plus: self.server_plus,
                nonce: Nonce::from_random([2; 18]),
                hostname: "mail.example".into(),
            },
        );
        let mut sent = 0;
        let mut relay = |octets| {
            sent += 1;
            (self.interfere)(sent - 1, octets)
        };
        let initial = match client.start() {
            Ok(initial) => initial.map(&mut relay),
            Err(error) => return (Err(Error::Aborted), Err(error)),
        };
        let mut step = server.start(initial.as_deref());
        loop {
            step = match step {
                Step::Challenge(challenge) => match client.step(&challenge) {
                    Ok(response) => server.step(&relay(response)),
                    Err(error) => return (Err(Error::Aborted), Err(error)),
                },
                Step::Verify(query) => server.supply((self.answer)(query)),
                Step::Done(outcome) => return (outcome, client.finish(None)),
            };
        }
    }

    fn fails(self) -> Error {
        self.play().0.unwrap_err()
    }
}

/// A server's side on a connection that cannot be bound.
fn unbound(mechanism: Mechanism) -> server::Exchange {
    let options = server::Options {
        channel_binding: None,
        plus: PlusOffered::NotOffered,
        nonce: Nonce::from_random([2; 18]),
        hostname: "mail.example".into(),
    };
    server::Exchange::new(mechanism, options)
}

const ALL: [Mechanism; 9] = [
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
const PASSWORDS: [Mechanism; 7] = Mechanism::PASSWORD_STRONGEST_FIRST;
const SCRAM: [Mechanism; 4] =
    [Mechanism::ScramSha256Plus, Mechanism::ScramSha256, Mechanism::ScramSha1Plus, Mechanism::ScramSha1];

#[test]
fn every_mechanism_succeeds() {
    for mechanism in ALL {
        assert_eq!(Mechanism::parse(&mechanism.name().to_lowercase()), Some(mechanism));
        let (server, client) = scene(mechanism).play();
        let named = !matches!(mechanism, Mechanism::External | Mechanism::OAuthBearer);
        let authcid = named.then(|| "jürgen, =@example".to_owned());
        assert_eq!(server, Ok(Success { authzid: None, authcid }), "{mechanism}");
        assert_eq!(client, Ok(()), "{mechanism}");
    }
}

#[test]
fn the_authorization_identity_is_passed_on() {
    for mechanism in ALL.into_iter().filter(|m| !matches!(m, Mechanism::CramMd5 | Mechanism::Login)) {
        let (server, _) = Scene { authzid: Some("other=,@example"), ..scene(mechanism) }.play();
        assert_eq!(server.unwrap().authzid.as_deref(), Some("other=,@example"), "{mechanism}");
        let refused = Scene { authzid: Some("other"), answer: |_| Answer::RejectAuthzid, ..scene(mechanism) }.fails();
        let oauth = mechanism == Mechanism::OAuthBearer;
        assert_eq!(refused, if oauth { Error::Credentials } else { Error::AuthzidDenied }, "{mechanism}");
    }
}

#[test]
fn wrong_passwords_and_unknown_users_end_alike() {
    for mechanism in PASSWORDS {
        assert_eq!(Scene { password: "wrong", ..scene(mechanism) }.fails(), Error::Credentials, "{mechanism}");
        assert_eq!(Scene { answer: know_nobody, ..scene(mechanism) }.fails(), Error::Credentials, "{mechanism}");
    }
    assert_eq!(Scene { password: "wrong", ..scene(Mechanism::OAuthBearer) }.fails(), Error::Credentials);
}

#[test]
fn fake_verifiers_are_stable_and_look_like_real_ones() {
    for hash in [mailstead_sasl::ScramHash::Sha1, mailstead_sasl::ScramHash::Sha256] {
        let fake = |key: &[u8], name| ScramVerifier::fake(hash, key, name, 4096);
        let real = ScramVerifier::derive(hash, &Secret::new(PASSWORD.into()), &[9; SALT_LEN], 4096);
        assert_eq!(fake(b"key", "a"), fake(b"key", "a"));
        assert_ne!(fake(b"key", "a").salt, fake(b"key", "b").salt);
        assert_ne!(fake(b"key", "a").salt, fake(b"other key", "a").salt);
        let shape = |v: &ScramVerifier| (v.iterations, v.salt.len(), v.stored_key.len(), v.server_key.len());
        assert_eq!(shape(&fake(b"key", "a")), shape(&real));
    }
}

#[test]
fn removed_offers_of_channel_binding_are_noticed() {
    for mechanism in [Mechanism::ScramSha256, Mechanism::ScramSha1] {
        let attacked = Scene { client_plus: PlusOffered::NotOffered, ..scene(mechanism) };
        assert_eq!(attacked.fails(), Error::ChannelBindingDowngrade);
        let never_offered =
            Scene { client_plus: PlusOffered::NotOffered, server_plus: PlusOffered::NotOffered, ..scene(mechanism) };
        assert!(never_offered.play().0.is_ok());
        // Rewriting the flag does not help the attacker: it is part of what is proved.
        let rewritten = Scene {
            client_plus: PlusOffered::NotOffered,
            interfere: |n, octets| if n == 0 { [b"n", &octets[1..]].concat() } else { octets },
            ..scene(mechanism)
        };
        assert_eq!(rewritten.fails(), Error::ChannelBindingMismatch);
    }
}

#[test]
fn two_channels_instead_of_one_are_noticed() {
    for mechanism in [Mechanism::ScramSha256Plus, Mechanism::ScramSha1Plus] {
        let intercepted = Scene { server_binding: Some(ChannelBinding::tls_exporter([8; 32])), ..scene(mechanism) };
        assert_eq!(intercepted.fails(), Error::ChannelBindingMismatch);
        assert_eq!(Scene { server_binding: None, ..scene(mechanism) }.fails(), Error::ChannelBindingUnsupported);
        let client = Scene { client_binding: None, ..scene(mechanism) }.play().1;
        assert_eq!(client, Err(Error::ChannelBindingUnsupported));
    }
}

#[test]
fn the_gs2_flag_must_suit_the_mechanism() {
    let first = |mechanism, message: &'static [u8]| {
        let mut server = server::Exchange::new(
            mechanism,
            server::Options {
                channel_binding: Some(ChannelBinding::tls_exporter([7; 32])),
                plus: PlusOffered::Offered,
                nonce: Nonce::from_random([2; 18]),
                hostname: "mail.example".into(),
            },
        );
        match server.start(Some(message)) {
            Step::Done(Err(error)) => error,
            other => panic!("{other:?}"),
        }
    };
    let plus = Mechanism::ScramSha256Plus;
    assert_eq!(first(plus, b"p=tls-unique,,n=a,r=b"), Error::ChannelBindingUnsupported);
    assert!(matches!(first(plus, b"n,,n=a,r=b"), Error::Malformed(_)));
    assert_eq!(first(plus, b"y,,n=a,r=b"), Error::ChannelBindingDowngrade);
    assert!(matches!(first(Mechanism::ScramSha256, b"p=tls-exporter,,n=a,r=b"), Error::Malformed(_)));
    for message in [
        &b""[..],
        b"n",
        b"n,",
        b"n,,",
        b"x,,n=a,r=b",
        b"n,b,n=a,r=b",
        b"n,,n=a",
        b"n,,r=b,n=a",
        b"n,,n=,r=b",
        b"n,,n=a=2c,r=b",
        b"n,,n=a=,r=b",
        b"n,,n=a,r=",
        b"n,,n=a,r=\x7f",
        b"n,,m=x,n=a,r=b",
        b"n,a=,n=a,r=b",
        b"n,,n=\xff,r=b",
        b"p=,,n=a,r=b",
    ] {
        assert!(matches!(first(Mechanism::ScramSha256, message), Error::Malformed(_)), "{message:?}");
    }
}

#[test]
fn an_exchange_cannot_be_spliced() {
    for mechanism in SCRAM {
        let other_nonce = Scene {
            interfere: |n, octets| {
                let text = String::from_utf8(octets).unwrap();
                if n == 1 { text.replace(",r=AQEB", ",r=BQEB").into_bytes() } else { text.into_bytes() }
            },
            ..scene(mechanism)
        };
        assert!(matches!(other_nonce.fails(), Error::Malformed(_)));
        let cut_proof = Scene {
            interfere: |n, mut octets| {
                if n == 1 {
                    octets.truncate(octets.len() - 4);
                }
                octets
            },
            ..scene(mechanism)
        };
        assert_eq!(cut_proof.fails(), Error::Credentials);
        let chatty = Scene { interfere: |n, octets| if n == 2 { b"x".to_vec() } else { octets }, ..scene(mechanism) };
        assert!(matches!(chatty.fails(), Error::Malformed(_)));
    }
}

#[test]
fn the_client_refuses_impostors() {
    let client = || {
        let mut client = client::Exchange::new(
            Mechanism::ScramSha256,
            client::Credentials { authzid: None, authcid: "user".into(), password: Secret::new("pencil".into()) },
            client::Options {
                channel_binding: None,
                plus: PlusOffered::NotOffered,
                nonce: Nonce::from_printable("abc").unwrap(),
            },
        );
        client.start().unwrap();
        client
    };
    let first = |message: &str| client().step(message.as_bytes()).unwrap_err();
    assert_eq!(first("r=abcdef,s=QSXCR+Q6sek8bf92,i=4095"), Error::Iterations(4095));
    assert_eq!(first("r=abcdef,s=QSXCR+Q6sek8bf92,i=4000000000"), Error::Iterations(4_000_000_000));
    for message in
        ["r=abc,s=QSXCR+Q6sek8bf92,i=4096", "r=xyzabc,s=QSXCR+Q6sek8bf92,i=4096", "r=abcd,s=!,i=4096", "", "e=x"]
    {
        assert!(matches!(first(message), Error::Malformed(_)), "{message}");
    }

    let server_first = b"r=abcdef,s=QSXCR+Q6sek8bf92,i=4096";
    let mut unproved = client();
    unproved.step(server_first).unwrap();
    assert_eq!(unproved.finish(None), Err(Error::ServerSignature));
    let mut forged = client();
    forged.step(server_first).unwrap();
    assert_eq!(forged.finish(Some(b"v=AAAA")), Err(Error::ServerSignature));
    assert_eq!(forged.finish(None), Err(Error::OutOfOrder));
    let mut refused = client();
    refused.step(server_first).unwrap();
    assert_eq!(refused.step(b"e=invalid-proof"), Err(Error::Refused("invalid-proof".into())));
    assert_eq!(client().finish(None), Err(Error::ServerSignature));
}

#[test]
fn calls_out_of_order_end_the_exchange() {
    let failed = |step| matches!(step, Step::Done(Err(Error::OutOfOrder)));
    assert!(failed(unbound(Mechanism::Plain).step(b"")));
    assert!(failed(unbound(Mechanism::Plain).supply(Answer::Accept)));
    let mut exchange = unbound(Mechanism::Plain);
    assert!(matches!(exchange.start(Some(b"\0a\0b")), Step::Verify(_)));
    assert!(failed(exchange.step(b"")));
    assert!(failed(exchange.supply(Answer::Accept)));
    // An answer of the wrong kind is no way around the proof.
    let mut exchange = unbound(Mechanism::ScramSha256);
    assert!(matches!(exchange.start(Some(b"n,,n=a,r=b")), Step::Verify(_)));
    assert!(failed(exchange.supply(Answer::Accept)));
    let mut exchange = unbound(Mechanism::Login);
    exchange.start(None);
    assert!(matches!(exchange.abort(), Step::Done(Err(Error::Aborted))));
    assert!(matches!(unbound(Mechanism::CramMd5).start(Some(b"")), Step::Done(Err(Error::Malformed(_)))));
}

#[test]
fn login_takes_the_user_name_early_or_late() {
    for initial in [None, Some(&b"user"[..])] {
        let mut server = unbound(Mechanism::Login);
        let mut step = server.start(initial);
        if initial.is_none() {
            assert!(matches!(step, Step::Challenge(prompt) if prompt == b"Username:"));
            step = server.step(b"user");
        }
        assert!(matches!(step, Step::Challenge(prompt) if prompt == b"Password:"));
        let Step::Verify(Query::Password { authzid: None, authcid, password }) = server.step("p\u{a0}a".as_bytes())
        else {
            panic!()
        };
        assert_eq!((authcid.as_str(), password.expose().as_str()), ("user", "p a"));
    }
}

#[test]
fn malformed_plain_is_refused() {
    for message in [&b""[..], b"a\0b", b"a\0b\0c\0d", b"\0\0c", b"\0a\0", b"\0a\n\0c", b"\0\xff\0c"] {
        let step = unbound(Mechanism::Plain).start(Some(message));
        assert!(matches!(step, Step::Done(Err(Error::Malformed(_)))), "{message:?}");
    }
}

#[test]
fn the_strongest_usable_mechanism_is_chosen() {
    let offered = [Mechanism::Plain, Mechanism::ScramSha256, Mechanism::ScramSha256Plus, Mechanism::Login];
    let binding = ChannelBinding::tls_exporter([7; 32]);
    assert_eq!(client::choose(&offered, Some(&binding), |_| true), Some(Mechanism::ScramSha256Plus));
    assert_eq!(client::choose(&offered, None, |_| true), Some(Mechanism::ScramSha256));
    assert_eq!(client::choose(&offered[..1], None, |m| !m.reveals_password()), None);
}
