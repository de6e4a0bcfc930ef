//! TLSA records of certificates and keys.

use std::path::Path;

use mailstead_dns::{Record, Tlsa};
use mailstead_names::Domain;
use mailstead_tlspolicy::tlsa::TlsaBaseDomain;
use mailstead_tlspolicy::verify::{record_for, record_for_key};
use rustls::pki_types::{CertificateDer, SubjectPublicKeyInfoDer};
use serde_json::json;

use crate::checks::Finding;
use crate::failure::Failure;
use crate::files::read_file;
use crate::pem::{first, public_half};

/// Larger files are not read: chains with keys are far smaller.
const MOST_OCTETS: u64 = 1 << 20;
/// The selector of public keys (RFC 6698 §2.1.2).
const SPKI: u8 = 1;

/// The record for the first certificate in a file or, where there is none, for a key.
pub(super) fn of_file(path: &Path, usage: u8, selector: u8, matching_type: u8) -> Result<Tlsa, Failure> {
    let pem = read_file(Some(path), MOST_OCTETS)?;
    of_pem(&pem, usage, selector, matching_type).map_err(|reason| Failure::new(format!("{}: {reason}", path.display())))
}

fn of_pem(pem: &[u8], usage: u8, selector: u8, matching_type: u8) -> Result<Tlsa, String> {
    if let Some(certificate) = first::<CertificateDer<'_>>(pem)? {
        let record = record_for(&certificate, usage, selector, matching_type);
        return record.ok_or_else(|| "what should be a certificate is none".to_owned());
    }
    let key = match first::<SubjectPublicKeyInfoDer<'_>>(pem)? {
        Some(key) => key,
        None => public_half(first(pem)?.ok_or("there is neither a certificate nor a key in it (PEM is expected)")?)?,
    };
    if selector != SPKI {
        return Err("there is only a key in it, for which the selector must be spki (1)".to_owned());
    }
    record_for_key(&key, usage, matching_type).ok_or_else(|| format!("matching type {matching_type} is unknown"))
}

/// Where the record of a server is.
pub(super) fn place(host: Domain, port: u16) -> Result<Domain, Failure> {
    let base = TlsaBaseDomain(host);
    base.record_name(port).map_err(|error| Failure::new(format!("the name of the record would be no name: {error}")))
}

/// The data of a record, or a line of a zone file where its place is known.
pub(super) fn shown(record: &Tlsa, place: Option<&Domain>) -> Finding {
    let text = Record::Tlsa(record.clone()).to_string();
    let mut finding = Finding::new(match place {
        Some(name) => format!("{}. IN TLSA {text}", name.as_ascii()),
        None => text.clone(),
    });
    let hex: String = record.data.iter().map(|octet| format!("{octet:02x}")).collect();
    finding.put("name", json!(place.map(Domain::as_ascii)));
    finding.put("record", json!(text));
    finding.put("usage", json!(record.usage));
    finding.put("selector", json!(record.selector));
    finding.put("matching_type", json!(record.matching_type));
    finding.put("data", json!(hex));
    finding
}

#[cfg(test)]
mod tests {
    use super::*;

    // openssl ecparam -name prime256v1 -genkey | openssl pkcs8 -topk8 -nocrypt
    const PRIVATE_KEY: &str = "\
-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgG7YY6jQGnla7EVTw
6Pac81B/6YRWeBuMzRqSjkfgXUqhRANCAASWycvAQ10n4KWWWljYa7u08rlvdN+4
PhDBgxfhoKq6CmXcBrBIyxGH0xHMREF3XY8XcmnMZJswWC3ZgB/+vyRC
-----END PRIVATE KEY-----
";
    // openssl pkey -pubout
    const PUBLIC_KEY: &str = "\
-----BEGIN PUBLIC KEY-----
MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAElsnLwENdJ+ClllpY2Gu7tPK5b3Tf
uD4QwYMX4aCqugpl3AawSMsRh9MRzERBd12PF3JpzGSbMFgt2YAf/r8kQg==
-----END PUBLIC KEY-----
";
    // openssl req -x509 -subj /CN=mx.example.org -days 3650
    const CERTIFICATE: &str = "\
-----BEGIN CERTIFICATE-----
MIIBhjCCAS2gAwIBAgIUHc/LO8jj7fOxJlYt6aLGum+Dhp0wCgYIKoZIzj0EAwIw
GTEXMBUGA1UEAwwObXguZXhhbXBsZS5vcmcwHhcNMjYxMTI2MTY1NjMzWhcNMzYx
MTIzMTY1NjMzWjAZMRcwFQYDVQQDDA5teC5leGFtcGxlLm9yZzBZMBMGByqGSM49
AgEGCCqGSM49AwEHA0IABJbJy8BDXSfgpZZaWNhru7TyuW9037g+EMGDF+GgqroK
ZdwGsEjLEYfTEcxEQXddjxdyacxkmzBYLdmAH/6/JEKjUzBRMB0GA1UdDgQWBBTL
6xGHECRpW36wDGiHxFhs9alo3jAfBgNVHSMEGDAWgBTL6xGHECRpW36wDGiHxFhs
9alo3jAPBgNVHRMBAf8EBTADAQH/MAoGCCqGSM49BAMCA0cAMEQCIBueSSPo31cZ
NVOchL3QhR43WmVugQbSU4EoVtSM+dzbAiAPTMeUOCJVR1ZUtrW4ptOL3dvXwV0T
a9xNVLyoKqc+Yg==
-----END CERTIFICATE-----
";
    /// Digests of all of the certificate and of its key, by openssl dgst.
    const CERT_SHA2_256: &str = "e85a48e4b93e6bc19e72900671c38d8cf5252b752b6bdd22576d8c3f289f9c04";
    const SPKI_SHA2_256: &str = "6258b8ddb613424dd130e0ee4e18b28e99a682c1ced6b18d1c77c9acf0020c12";
    const SPKI_SHA2_512: &str = "b7a8372bde434b955c3a0f0fd0d458a74cc4e43f8f7d01dec1b3721a986e7ae9\
                                 ad35c9e8584a812f18576d6e0d252c95fe6662db1973b6a8b630b807e8848648";

    fn text(pem: &str, usage: u8, selector: u8, matching_type: u8) -> Result<String, String> {
        of_pem(pem.as_bytes(), usage, selector, matching_type).map(|record| shown(&record, None).text)
    }

    #[test]
    fn certificates_and_keys_have_the_same_record() {
        let chain = format!("{PRIVATE_KEY}some text\n{CERTIFICATE}");
        for pem in [CERTIFICATE, PUBLIC_KEY, PRIVATE_KEY, &chain] {
            assert_eq!(text(pem, 3, 1, 1).unwrap(), format!("3 1 1 {SPKI_SHA2_256}"));
            assert_eq!(text(pem, 1, 1, 2).unwrap(), format!("1 1 2 {SPKI_SHA2_512}"));
            assert!(text(pem, 3, 1, 0).unwrap().starts_with("3 1 0 3059301306072a8648ce3d0201"));
        }
        assert_eq!(text(&chain, 2, 0, 1).unwrap(), format!("2 0 1 {CERT_SHA2_256}"));
    }

    #[test]
    fn the_whole_line_and_the_object() {
        let record = of_pem(CERTIFICATE.as_bytes(), 3, 1, 1).unwrap();
        let name = place(Domain::parse("mx.example.org").unwrap(), 25).unwrap();
        let finding = shown(&record, Some(&name));
        assert_eq!(finding.text, format!("_25._tcp.mx.example.org. IN TLSA 3 1 1 {SPKI_SHA2_256}"));
        let expected = json!({
            "name": "_25._tcp.mx.example.org", "record": format!("3 1 1 {SPKI_SHA2_256}"),
            "usage": 3, "selector": 1, "matching_type": 1, "data": SPKI_SHA2_256,
        });
        assert_eq!(serde_json::Value::Object(finding.json), expected);
        let long = Domain::parse(&[&"a".repeat(61)[..]; 4].join(".")).unwrap();
        assert!(place(long, 25).unwrap_err().to_string().contains("would be no name"));
    }

    #[test]
    fn what_makes_no_record_says_why() {
        let error = |pem: &str, selector, matching_type| text(pem, 3, selector, matching_type).unwrap_err();
        assert!(error(PRIVATE_KEY, 0, 1).contains("must be spki"));
        assert!(error("nothing", 1, 1).contains("neither a certificate nor a key"));
        let broken = CERTIFICATE.replace("MIIB", "AAAA");
        assert_eq!(error(&broken, 1, 1), "what should be a certificate is none");
        assert!(error(&CERTIFICATE.replace("-----END CERTIFICATE-----", ""), 1, 1).contains("as PEM"));
        assert!(error(&PRIVATE_KEY.replace("MIGH", "MIGA"), 1, 1).starts_with("the key is unusable"));
    }
}
