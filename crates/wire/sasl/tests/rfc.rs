//! The examples of the RFCs, to the octet, from both sides.

use mailstead_names::Secret;
use mailstead_sasl::server::{Answer, Query, Step};
use mailstead_sasl::{
    ChannelBinding, CramMd5Secret, Mechanism, Nonce, PlusOffered, ScramHash, ScramVerifier, client, server,
};

fn client_for(mechanism: Mechanism, authcid: &str, password: &str, nonce: &str) -> client::Exchange {
    let credentials =
        client::Credentials { authzid: None, authcid: authcid.into(), password: Secret::new(password.into()) };
    let options = client::Options {
        channel_binding: None,
        plus: PlusOffered::NotOffered,
        nonce: Nonce::from_printable(nonce).unwrap(),
    };
    client::Exchange::new(mechanism, credentials, options)
}

fn server_for(mechanism: Mechanism, nonce: &str) -> server::Exchange {
    let options = server::Options {
        channel_binding: None::<ChannelBinding>,
        plus: PlusOffered::NotOffered,
        nonce: Nonce::from_printable(nonce).unwrap(),
        hostname: "postoffice.reston.mci.net".into(),
    };
    server::Exchange::new(mechanism, options)
}

fn challenge(step: Step) -> String {
    match step {
        Step::Challenge(octets) => String::from_utf8(octets).unwrap(),
        other => panic!("{other:?}"),
    }
}

struct Scram {
    mechanism: Mechanism,
    salt: &'static [u8],
    server_nonce: &'static str,
    client_nonce: &'static str,
    messages: [&'static str; 4],
}

fn replay(example: &Scram) {
    let [client_first, server_first, client_final, server_final] = example.messages;
    let mut client = client_for(example.mechanism, "user", "pencil", example.client_nonce);
    let mut server = server_for(example.mechanism, example.server_nonce);

    let response = client.start().unwrap().unwrap();
    assert_eq!(response, client_first.as_bytes());
    let Step::Verify(Query::Scram { hash, authzid: None, username }) = server.start(Some(&response)) else { panic!() };
    assert_eq!((Some(hash), username.as_str()), (example.mechanism.scram_hash(), "user"));
    let verifier = ScramVerifier::derive(hash, &Secret::new("pencil".into()), example.salt, 4096);
    assert_eq!(challenge(server.supply(Answer::Scram(verifier))), server_first);
    let response = client.step(server_first.as_bytes()).unwrap();
    assert_eq!(response, client_final.as_bytes());
    assert_eq!(challenge(server.step(&response)), server_final);
    assert_eq!(client.step(server_final.as_bytes()).unwrap(), b"");
    client.finish(None).unwrap();
    let Step::Done(Ok(success)) = server.step(b"") else { panic!() };
    assert_eq!(success, server::Success { authzid: None, authcid: Some("user".into()) });
}

#[test]
fn scram_sha_1_of_rfc_5802_section_5() {
    replay(&Scram {
        mechanism: Mechanism::ScramSha1,
        salt: &[0x41, 0x25, 0xc2, 0x47, 0xe4, 0x3a, 0xb1, 0xe9, 0x3c, 0x6d, 0xff, 0x76],
        server_nonce: "3rfcNHYJY1ZVvWVs7j",
        client_nonce: "fyko+d2lbbFgONRv9qkxdawL",
        messages: [
            "n,,n=user,r=fyko+d2lbbFgONRv9qkxdawL",
            "r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,s=QSXCR+Q6sek8bf92,i=4096",
            "c=biws,r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,p=v0X8v3Bz2T0CJGbJQyF0X+HI4Ts=",
            "v=rmF9pqV8S7suAoZWja4dJRkFsKQ=",
        ],
    });
}

#[test]
fn scram_sha_256_of_rfc_7677_section_3() {
    replay(&Scram {
        mechanism: Mechanism::ScramSha256,
        salt: &[0x5b, 0x6d, 0x99, 0x68, 0x9d, 0x12, 0x35, 0x8e, 0xec, 0xa0, 0x4b, 0x14, 0x12, 0x36, 0xfa, 0x81],
        server_nonce: "%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0",
        client_nonce: "rOprNGfwEbeRWgbNEkqO",
        messages: [
            "n,,n=user,r=rOprNGfwEbeRWgbNEkqO",
            "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096",
            "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=",
            "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=",
        ],
    });
}

#[test]
fn cram_md5_of_rfc_2195_section_2() {
    let mut client = client_for(Mechanism::CramMd5, "tim", "tanstaaftanstaaf", "unused");
    let mut server = server_for(Mechanism::CramMd5, "1896.697170952");
    assert_eq!(client.start().unwrap(), None);
    let challenge = challenge(server.start(None));
    assert_eq!(challenge, "<1896.697170952@postoffice.reston.mci.net>");
    let response = client.step(challenge.as_bytes()).unwrap();
    assert_eq!(response, b"tim b913a602c7eda7a495b4e6e7334d3890");
    let Step::Verify(Query::CramMd5 { username }) = server.step(&response) else { panic!() };
    assert_eq!(username, "tim");
    let secret = CramMd5Secret::derive("tanstaaftanstaaf");
    let kept = CramMd5Secret::from_bytes(&secret.to_bytes());
    assert!(matches!(server.supply(Answer::CramMd5(kept)), Step::Done(Ok(_))));
}

#[test]
fn plain_of_rfc_4616_section_4() {
    let mut server = server_for(Mechanism::Plain, "unused");
    let Step::Verify(Query::Password { authzid, authcid, password }) = server.start(Some(b"Ursel\0Kurt\0xipj3plmq"))
    else {
        panic!()
    };
    assert_eq!(
        (authzid.as_deref(), authcid.as_str(), password.expose().as_str()),
        (Some("Ursel"), "Kurt", "xipj3plmq")
    );
    let mut server = server_for(Mechanism::Plain, "unused");
    let Step::Verify(Query::Password { authzid: None, .. }) = server.start(Some(b"\0tim\0tanstaaftanstaaf")) else {
        panic!()
    };
}

#[test]
fn oauthbearer_of_rfc_7628_section_4() {
    let token = "vF9dft4qmTc2Nvb3RlckBhbHRhdmlzdGEuY29tCg==";
    let response =
        format!("n,a=user@example.com,\x01host=server.example.com\x01port=143\x01auth=Bearer {token}\x01\x01");
    let mut server = server_for(Mechanism::OAuthBearer, "unused");
    let Step::Verify(Query::OAuthBearer { authzid, token: seen }) = server.start(Some(response.as_bytes())) else {
        panic!()
    };
    assert_eq!((authzid.as_deref(), seen.expose().as_str()), (Some("user@example.com"), token));
    assert!(challenge(server.supply(Answer::Reject)).contains("\"status\":\"invalid_token\""));
    assert!(matches!(server.step(b"\x01"), Step::Done(Err(mailstead_sasl::Error::Credentials))));
}

#[test]
fn verifiers_can_be_kept_as_text() {
    for hash in [ScramHash::Sha1, ScramHash::Sha256] {
        let verifier = ScramVerifier::derive(hash, &Secret::new("pencil".into()), b"0123456789abcdef", 4096);
        let text = verifier.to_text();
        assert!(text.starts_with(&format!("{}$4096:MDEyMzQ1Njc4OWFiY2RlZg==$", hash.mechanism_name())));
        assert_eq!(ScramVerifier::from_text(&text).unwrap(), verifier);
        for broken in ["", "SCRAM-SHA-1", &text[..text.len() - 6], &format!("{text}$"), &text.replace("4096", "x")] {
            assert!(ScramVerifier::from_text(broken).is_err(), "{broken}");
        }
    }
}
