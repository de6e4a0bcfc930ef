//! `mailstead tlskey`: keys by which the server knows mail programs.
//!
//! What concerns the server's list is in `operations`. Here is what happens where the command is given: files are read and
//! written, and private keys never leave.

use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use mailstead_net::{ClientIdentity, PublicKey};
use rustls::pki_types::{CertificateDer, SubjectPublicKeyInfoDer};
use serde_json::json;

use crate::cli::{TlskeyCommand, print};
use crate::control;
use crate::failure::Failure;
use crate::files::{read_file, write_new};
use crate::operations::tls_keys::Preauth;
use crate::operations::{Form, Request};
use crate::pem::{first, public_half};

/// Larger files are not read: chains with keys are far smaller.
const MOST_OCTETS: u64 = 1 << 20;

/// `mailstead tlskey`.
pub(crate) async fn run(command: TlskeyCommand) -> Result<(), Failure> {
    match command {
        TlskeyCommand::List { account, json, place } => {
            let form = if json { Form::Json } else { Form::Words };
            control::run(&place, Request::TlsKeyList { account, form }).await
        }
        TlskeyCommand::Add { address, file, name, no_imap_preauth, place } => {
            let pem = read_file(file.as_deref(), MOST_OCTETS)?;
            let from = file.as_deref().filter(|file| *file != Path::new("-"));
            let from = from.map_or_else(|| "standard input".to_owned(), |file| file.display().to_string());
            let key = public_key(&pem).map_err(|reason| Failure::new(format!("{from}: {reason}")))?;
            let preauth = if no_imap_preauth { Preauth::Refused } else { Preauth::Allowed };
            let key = STANDARD.encode(key.der());
            control::run(&place, Request::TlsKeyAdd { address: address.unicode(), name, preauth, key }).await
        }
        TlskeyCommand::Remove { fingerprint, place } => {
            control::run(&place, Request::TlsKeyRemove { fingerprint: fingerprint.to_string() }).await
        }
        TlskeyCommand::Generate { stem, json } => generate(&stem, json),
    }
}

/// The key of the first certificate in a file or, where there is none, the key in it.
fn public_key(pem: &[u8]) -> Result<PublicKey, String> {
    if let Some(certificate) = first::<CertificateDer<'_>>(pem)? {
        return PublicKey::of_certificate(&certificate).map_err(|error| error.to_string());
    }
    let key = match first::<SubjectPublicKeyInfoDer<'_>>(pem)? {
        Some(key) => key,
        None => public_half(first(pem)?.ok_or("there is neither a certificate nor a key in it (PEM is expected)")?)?,
    };
    PublicKey::from_der(&key).map_err(|error| error.to_string())
}

fn generate(stem: &Path, json: bool) -> Result<(), Failure> {
    let Some(name) = stem.file_name() else {
        return Err(Failure::new(format!("{}: this is no beginning for the names of files", stem.display())));
    };
    let file = |end: &str| {
        let mut path = stem.as_os_str().to_owned();
        path.push(end);
        PathBuf::from(path)
    };
    let (certificate, key) = (file(".cert.pem"), file(".key.pem"));
    let made = ClientIdentity::generate(&name.to_string_lossy())?;
    write_new(&key, made.key_pem.expose())?;
    if let Err(failure) = write_new(&certificate, &made.certificate_pem) {
        // The key is of no use alone, and would be in the way of the next attempt.
        let _ = std::fs::remove_file(&key);
        return Err(failure);
    }
    let (fingerprint, kind) = (made.key.fingerprint().to_string(), made.key.kind().to_string());
    let (certificate, key) = (certificate.display().to_string(), key.display().to_string());
    if json {
        return print(
            &json!({ "fingerprint": fingerprint, "kind": kind, "certificate": certificate, "key": key }).to_string(),
        );
    }
    let stem = stem.display();
    print(&format!(
        "{fingerprint} ({kind})
  {key}: the private key, for your mail program alone
  {certificate}: the certificate, for the server and your mail program

To let it in:
  mailstead tlskey add ADDRESS {certificate}
For programs that want one file with a password:
  openssl pkcs12 -export -in {certificate} -inkey {key} -out {stem}.p12"
    ))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn what_is_made_can_be_read_in_every_form() {
        let directory = tempfile::tempdir().unwrap();
        let stem = directory.path().join("my laptop");
        generate(&stem, false).unwrap();
        let read = |end: &str| std::fs::read_to_string(directory.path().join(format!("my laptop.{end}.pem"))).unwrap();
        let (certificate, key) = (read("cert"), read("key"));
        let mode = std::fs::metadata(directory.path().join("my laptop.key.pem")).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        let public = public_key(certificate.as_bytes()).unwrap();
        for pem in [&key, &format!("{key}{certificate}"), &format!("{certificate}{key}")] {
            assert_eq!(public_key(pem.as_bytes()), Ok(public.clone()));
        }
    }

    #[test]
    fn nothing_is_overwritten_and_nothing_is_left_behind() {
        let directory = tempfile::tempdir().unwrap();
        let file = |name: &str| directory.path().join(name);
        std::fs::write(file("a.cert.pem"), "mine").unwrap();
        std::fs::write(file("b.key.pem"), "mine").unwrap();
        for stem in ["a", "b"] {
            let failure = generate(&file(stem), false).unwrap_err().to_string();
            assert!(failure.contains("cannot write it"), "{failure}");
        }
        assert!(!file("a.key.pem").exists() && !file("b.cert.pem").exists());
        assert!(generate(Path::new("/"), false).unwrap_err().to_string().contains("no beginning"));
    }

    #[test]
    fn what_is_no_key_says_why() {
        let error = |pem: &str| public_key(pem.as_bytes()).unwrap_err();
        assert!(error("hello").contains("neither a certificate nor a key"));
        let broken = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
        assert!(error(broken).contains("not a certificate"));
        assert!(error(&broken[..40]).contains("as PEM"));
    }
}
