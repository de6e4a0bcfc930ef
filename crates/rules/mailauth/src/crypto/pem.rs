//! Private and public keys in PEM files (RFC 7468).

use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use mailstead_names::Secret;

use super::{Crypto, KeyType, PrivateKey, PrivateKeyError, PrivateKeyForm, PublicKey, PublicKeyError};

/// Line length of the base64 text (RFC 7468 §2).
const LINE: usize = 64;

/// Makes a private key: RSA with 2048 bits or Ed25519, as PKCS#8 in PEM form.
///
/// # Errors
/// When the library fails.
pub fn generate_pem(crypto: &dyn Crypto, key_type: KeyType) -> Result<Secret<String>, PrivateKeyError> {
    let der = crypto.generate(key_type)?;
    let text = Secret::new(STANDARD.encode(der.expose()));
    // With the capacity for all of it, no copy stays behind when the string grows.
    let mut pem = String::with_capacity(text.expose().len() * (LINE + 1) / LINE + 64);
    pem.push_str("-----BEGIN PRIVATE KEY-----\n");
    for line in text.expose().as_bytes().chunks(LINE) {
        pem.extend(line.iter().copied().map(char::from));
        pem.push('\n');
    }
    pem.push_str("-----END PRIVATE KEY-----\n");
    Ok(Secret::new(pem))
}

/// Reads the first private key of a PEM file: PKCS#8, or PKCS#1 as older programs write it. Text around it is ignored
/// (RFC 7468 §2).
///
/// # Errors
/// When there is none, or it cannot be used for signing.
pub fn read_pem(crypto: &dyn Crypto, pem: &str) -> Result<Arc<dyn PrivateKey>, PrivateKeyError> {
    let (label, rest) = pem
        .split("-----BEGIN ")
        .skip(1)
        .find_map(|block| block.split_once("-----").filter(|(label, _)| label.ends_with("PRIVATE KEY")))
        .ok_or(PrivateKeyError::Pem)?;
    let form = match label {
        "PRIVATE KEY" => PrivateKeyForm::Pkcs8,
        "RSA PRIVATE KEY" => PrivateKeyForm::Pkcs1,
        "ENCRYPTED PRIVATE KEY" => return Err(PrivateKeyError::Encrypted),
        _ => return Err(PrivateKeyError::Rejected),
    };
    let (body, _) = rest.split_once("-----END ").ok_or(PrivateKeyError::Pem)?;
    // RFC 1421 §4.6.1.1, as OpenSSL still writes it.
    if body.contains("Proc-Type:") {
        return Err(PrivateKeyError::Encrypted);
    }
    let mut text = String::with_capacity(body.len());
    text.extend(body.chars().filter(|c| !c.is_ascii_whitespace()));
    let text = Secret::new(text);
    let der = Secret::new(STANDARD.decode(text.expose()).map_err(|_| PrivateKeyError::Pem)?);
    crypto.private_key(form, der.expose())
}

/// Reads the first public key of a PEM file: `PUBLIC KEY` of either type, or `RSA PUBLIC KEY` as older programs write it.
/// Text around it is ignored.
///
/// # Errors
/// When there is none, or it is not a key that DKIM uses.
pub fn read_public_pem(pem: &str) -> Result<PublicKey, PublicKeyError> {
    let (_, rest) = pem
        .split("-----BEGIN ")
        .skip(1)
        .find_map(|block| block.split_once("-----").filter(|(label, _)| label.ends_with("PUBLIC KEY")))
        .ok_or(PublicKeyError::Pem)?;
    let (body, _) = rest.split_once("-----END ").ok_or(PublicKeyError::Pem)?;
    let text: String = body.chars().filter(|c| !c.is_ascii_whitespace()).collect();
    PublicKey::from_der(&STANDARD.decode(text).map_err(|_| PublicKeyError::Pem)?)
}

#[cfg(all(test, feature = "aws-lc-rs"))]
mod tests {
    use super::super::{AwsLcRs, Verdict};
    use super::*;

    #[test]
    fn generated_keys_sign_what_their_public_half_verifies() {
        for (key_type, bits, length) in [(KeyType::Rsa, 2048, 256), (KeyType::Ed25519, 256, 64)] {
            let pem = generate_pem(&AwsLcRs, key_type).unwrap();
            assert!(pem.expose().lines().all(|line| line.len() <= LINE));
            let key = read_pem(&AwsLcRs, &format!("Note: for tests\r\n\r\n{}\n", pem.expose())).unwrap();
            assert_eq!((key.public_key().key_type(), key.public_key().bits()), (key_type, bits));
            let signature = key.sign(&[7; 32]).unwrap();
            assert_eq!(signature.len(), length);
            assert_eq!(AwsLcRs.verify(key.public_key(), &[7; 32], &signature), Verdict::Valid);
            assert_eq!(AwsLcRs.verify(key.public_key(), &[8; 32], &signature), Verdict::Invalid);
            assert_eq!(AwsLcRs.verify(key.public_key(), &[7; 32], &signature[1..]), Verdict::Invalid);
            assert!(!format!("{key:?} {pem:?}").contains("MII"));
        }
    }

    #[test]
    fn files_without_a_usable_key_say_why() {
        let refused = |pem: &str| read_pem(&AwsLcRs, pem).unwrap_err();
        assert_eq!(refused(""), PrivateKeyError::Pem);
        assert_eq!(refused("-----BEGIN PRIVATE KEY-----\nAAAA"), PrivateKeyError::Pem);
        assert_eq!(refused("-----BEGIN PRIVATE KEY-----\n!\n-----END PRIVATE KEY-----"), PrivateKeyError::Pem);
        assert_eq!(refused("-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----"), PrivateKeyError::Rejected);
        assert_eq!(refused("-----BEGIN EC PRIVATE KEY-----\nAA==\n-----END "), PrivateKeyError::Rejected);
        assert_eq!(refused("-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END "), PrivateKeyError::Encrypted);
        let old = "-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\n\nAAAA\n-----END RSA PRIVATE KEY-----";
        assert_eq!(refused(old), PrivateKeyError::Encrypted);
        assert_eq!(refused("-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----"), PrivateKeyError::Pem);
    }

    #[test]
    fn public_keys_of_files() {
        // By `openssl pkey -pubout`, the example of RFC 8410 §10.1; and of an RSA key in both forms.
        let ed25519 = "MCowBQYDK2VwAyEAGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE=";
        let block = |label: &str, text: &str| format!("-----BEGIN {label}-----\n{text}\n-----END {label}-----\n");
        let read = |label: &str, text: &str| read_public_pem(&block(label, text));
        let key = read("PUBLIC KEY", ed25519).unwrap();
        assert_eq!((key.key_type(), key.to_record()[..2].to_vec()), (KeyType::Ed25519, vec![0x19, 0xbf]));

        let private = read_pem(&AwsLcRs, generate_pem(&AwsLcRs, KeyType::Rsa).unwrap().expose()).unwrap();
        let der = private.public_key().to_record();
        assert_eq!(read("PUBLIC KEY", &STANDARD.encode(&der)).as_ref(), Ok(private.public_key()));
        // SubjectPublicKeyInfo of 2048 bits has 24 octets before the RSAPublicKey.
        let pkcs1 = STANDARD.encode(&der[24..]);
        assert_eq!(read("RSA PUBLIC KEY", &pkcs1).as_ref(), Ok(private.public_key()));

        assert_eq!(read("PRIVATE KEY", ed25519), Err(PublicKeyError::Pem));
        assert_eq!(read("PUBLIC KEY", "*"), Err(PublicKeyError::Pem));
        assert_eq!(read("PUBLIC KEY", &STANDARD.encode(&der[1..])), Err(PublicKeyError::Malformed));
        // X25519, which signs nothing.
        let other = ed25519.replace("K2VwAyEA", "K2VuAyEA");
        assert_eq!(read("PUBLIC KEY", &other), Err(PublicKeyError::Malformed));
        assert_eq!(read_public_pem("-----BEGIN PUBLIC KEY-----"), Err(PublicKeyError::Pem));
    }
}
