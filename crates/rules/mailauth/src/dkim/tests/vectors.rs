//! The signed messages of RFC 6376 and RFC 8463.

use super::*;

/// RFC 6376 §A.2; the key is in Appendix C. Lines are folded with six spaces, and there is one after "game.", which the
/// text of the RFC does not show: it is indented, and its formatter doubled spaces after sentences.
const RFC_6376: &str = "DKIM-Signature: v=1; a=rsa-sha256; s=brisbane; d=example.com;\r
      c=simple/simple; q=dns/txt; i=joe@football.example.com;\r
      h=Received : From : To : Subject : Date : Message-ID;\r
      bh=2jUSOH9NhtVGCQWNr9BrIAPreKQjO6Sn7XIkfJVOzv8=;\r
      b=AuUoFEfDxTDkHlLXSZEpZj79LICEps6eda7W3deTVFOk4yAUoqOB\r
      4nujc7YopdG5dWLSdNg6xNAZpOPr+kHxt1IrE+NahM6L/LbvaHut\r
      KVdkLLkpVaVVQPzeRDI009SO2Il5Lu7rDNH6mZckBdrIx0orEtZV\r
      4bmp/YzhwvcubU4=;\r
Received: from client1.football.example.com  [192.0.2.1]\r
      by submitserver.example.com with SUBMISSION;\r
      Fri, 11 Jul 2003 21:01:54 -0700 (PDT)\r
From: Joe SixPack <joe@football.example.com>\r
To: Suzie Q <suzie@shopping.example.net>\r
Subject: Is dinner ready?\r
Date: Fri, 11 Jul 2003 21:00:37 -0700 (PDT)\r
Message-ID: <20030712040037.46341.5F8J@football.example.com>\r
\r
Hi.\r
\r
We lost the game. Are you hungry yet?\r
\r
Joe.\r
";

const RFC_6376_KEY: &str = "v=DKIM1; p=MIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQDwIRP/UC3SBsEmGqZ9ZJW3/DkMoGeLnQg1fWn7/zYt\
    IxN2SnFCjxOCKG9v3b4jYfcTNh5ijSsq631uBItLa7od+v/RtdC2UzJ1lWT947qR+Rcac2gbto/NMqJ0fzfVjH4OuKhitdY9tf6mcwGjaNBcWToI\
    MmPSPDdQPNUYckcQ2QIDAQAB";

#[tokio::test]
async fn message_of_rfc_6376() {
    let zones = Zones::new().with("brisbane._domainkey.example.com", txt(RFC_6376_KEY)).secure("example.com");
    let found = outcome(RFC_6376.as_bytes(), &zones, &policy()).await;
    assert_eq!((found.status, &*found.reasons), (Status::Pass, &[][..]));
    assert_eq!(found.authenticated(), Some(&domain("example.com")));
    assert_eq!(found.identity().unwrap().to_string(), "joe@football.example.com");
    assert_eq!(found.key_size(), Some((KeyType::Rsa, 1024)));
    assert_eq!(found.authenticity, Authenticity::Secure);
    assert_eq!(found.evidence.consulted.len(), 1);
}

/// RFC 8463 §A.3; the keys are in §A.2.
const RFC_8463: &str = "DKIM-Signature: v=1; a=ed25519-sha256; c=relaxed/relaxed;\r
 d=football.example.com; i=@football.example.com;\r
 q=dns/txt; s=brisbane; t=1528637909; h=from : to :\r
 subject : date : message-id : from : subject : date;\r
 bh=2jUSOH9NhtVGCQWNr9BrIAPreKQjO6Sn7XIkfJVOzv8=;\r
 b=/gCrinpcQOoIfuHNQIbq4pgh9kyIK3AQUdt9OdqQehSwhEIug4D11Bus\r
 Fa3bT3FY5OsU7ZbnKELq+eXdp1Q1Dw==\r
DKIM-Signature: v=1; a=rsa-sha256; c=relaxed/relaxed;\r
 d=football.example.com; i=@football.example.com;\r
 q=dns/txt; s=test; t=1528637909; h=from : to : subject :\r
 date : message-id : from : subject : date;\r
 bh=2jUSOH9NhtVGCQWNr9BrIAPreKQjO6Sn7XIkfJVOzv8=;\r
 b=F45dVWDfMbQDGHJFlXUNB2HKfbCeLRyhDXgFpEL8GwpsRe0IeIixNTe3\r
 DhCVlUrSjV4BwcVcOF6+FF3Zo9Rpo1tFOeS9mPYQTnGdaSGsgeefOsk2Jz\r
 dA+L10TeYt9BgDfQNZtKdN1WO//KgIqXP7OdEFE4LjFYNcUxZQ4FADY+8=\r
From: Joe SixPack <joe@football.example.com>\r
To: Suzie Q <suzie@shopping.example.net>\r
Subject: Is dinner ready?\r
Date: Fri, 11 Jul 2003 21:00:37 -0700 (PDT)\r
Message-ID: <20030712040037.46341.5F8J@football.example.com>\r
\r
Hi.\r
\r
We lost the game.  Are you hungry yet?\r
\r
Joe.\r
";

const RFC_8463_ED25519: &str = "v=DKIM1; k=ed25519; p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=";
const RFC_8463_RSA: &str = "v=DKIM1; k=rsa; p=MIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQDkHlOQoBTzWR\
    iGs5V6NpP3idY6Wk08a5qhdR6wy5bdOKb2jLQiY/J16JYi0Qvx/byYzCNb3W91y3FutAC\
    DfzwQ/BC/e/8uBsCR+yz1Lxj+PL6lHvqMKrM3rG4hstT5QjvHO9PzoxZyVYLzBfO2EeC3\
    Ip3G+2kryOTIKT+l/K4w3QIDAQAB";

fn rfc_8463_zones() -> Zones {
    Zones::new()
        .with("brisbane._domainkey.football.example.com", txt(RFC_8463_ED25519))
        .with("test._domainkey.football.example.com", txt(RFC_8463_RSA))
}

#[tokio::test]
async fn message_of_rfc_8463() {
    let found = verified(RFC_8463.as_bytes(), &rfc_8463_zones(), &policy()).await;
    let results: Vec<_> =
        found.outcomes.iter().map(|outcome| (outcome.status, outcome.algorithm(), outcome.key_size())).collect();
    assert_eq!(
        results,
        [
            (Status::Pass, Some(Algorithm::Ed25519Sha256), Some((KeyType::Ed25519, 256))),
            (Status::Pass, Some(Algorithm::RsaSha256), Some((KeyType::Rsa, 1024))),
        ]
    );
    assert_eq!(found.authenticated().count(), 2);
}

#[tokio::test]
async fn the_key_of_rfc_8463_signs_as_the_rfc_does() {
    // §A.1, as PKCS#8: Ed25519 signatures are the same every time.
    let seed = "nWGxne/9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A=";
    let seed = base64::Engine::decode(&base64::engine::general_purpose::STANDARD, seed).unwrap();
    let pkcs8 = [&[0x30, 0x2e, 2, 1, 0, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 4, 0x22, 4, 0x20], &*seed].concat();
    let key = AwsLcRs.private_key(crate::crypto::PrivateKeyForm::Pkcs8, &pkcs8).unwrap();
    assert_eq!(KeyRecord::new(key.public_key().clone()), KeyRecord::parse(RFC_8463_ED25519.as_bytes()).unwrap());

    let header = RFC_8463.split("\r\n").skip(13).map(|line| format!("{line}\r\n")).collect::<String>();
    let own = RFC_8463.split("\r\nDKIM").next().unwrap();
    let parsed = Signature::parse(&own.as_bytes()["DKIM-Signature:".len()..]).unwrap();
    let index = HeaderIndex::new(header.as_bytes());
    let mut octets = Vec::new();
    for field in index.select(&parsed.fields, None) {
        Canonicalization::Relaxed.field(field, &mut octets);
    }
    let unsigned = own.split(" b=").next().unwrap().to_owned() + " b=";
    octets.extend_from_slice(&Canonicalization::Relaxed.header_field(unsigned.as_bytes()));
    let mut hash = AwsLcRs.sha256();
    hash.update(octets.strip_suffix(b"\r\n").unwrap());
    assert_eq!(key.sign(&hash.finish()).unwrap(), parsed.signature);
}
