//! What the first run of `localserve` writes.

use std::fs;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

use mailstead_net::Authority;

use crate::cli::{CONFIG_FILE, LocalserveOptions};
use crate::failure::Failure;
use crate::files::write_new;

/// The certificate that clients are to trust.
pub(super) const CA_FILE: &str = "ca.pem";
const CERTIFICATE_FILE: &str = "certificate.pem";
const KEY_FILE: &str = "key.pem";

/// The configuration, for the operator to read and change.
pub(super) fn configuration(options: &LocalserveOptions) -> String {
    let addresses = match options.ip {
        None => "[\"127.0.0.1\", \"::1\"]".to_owned(),
        Some(ip) => format!("[\"{ip}\"]"),
    };
    // Where others listen in, passwords need TLS.
    let plaintext_login = options.ip.is_none_or(|ip| ip.is_loopback());
    let database = options.database.as_ref().map_or_else(String::new, |url| {
        let url = toml_edit::Value::from(url.as_str());
        format!("\n[database]\nengine = \"postgres\"\nurl = {url}\n")
    });
    format!(
        r#"# A mail server for trying things out, made by `mailstead localserve`.
hostname = "localhost"
data-directory = "data"
postmaster = "{account}"

# Mail to any address of any domain lands in this account, and nothing leaves this machine.
[sandbox]
account = "{account}"

[tls]
certificate = "{CERTIFICATE_FILE}"
key = "{KEY_FILE}"

[[listener]]
addresses = {addresses}
skip-missing-addresses = true   # machines without IPv6 have no ::1
plaintext-login = {plaintext_login}
smtp = 1025
submission = 1587
submissions = 1465
imap = 1143
imaps = 1993
http = 1080
https = 1443
metrics = 1081

# Test benches connect often, and all from here.
[limits]
exempt-networks = ["127.0.0.0/8", "::1/128"]
{database}
[domains.localhost]
subaddress-separators = "+"

[accounts.{account}]
addresses = ["{address}"]
"#,
        account = super::ACCOUNT,
        address = super::ADDRESS,
    )
}

/// A directory just made. Unless it is kept it disappears when this is dropped.
#[derive(Debug)]
pub(super) struct Made(Option<PathBuf>);

impl Made {
    pub(super) fn keep(mut self) {
        self.0 = None;
    }
}

impl Drop for Made {
    fn drop(&mut self) {
        if let Some(root) = &self.0 {
            // The first failure is being reported already.
            let _ = fs::remove_dir_all(root);
        }
    }
}

/// Makes the directory with certificates and configuration.
pub(super) fn make(root: &Path, configuration: &str, ip: Option<IpAddr>) -> Result<Made, Failure> {
    let failed = |path: &Path, error: &io::Error| Failure::new(format!("cannot make {}: {error}", path.display()));
    let is_occupied = fs::read_dir(root).is_ok_and(|mut entries| entries.next().is_some());
    if is_occupied {
        let message = format!("{} is not empty and has no {CONFIG_FILE}: choose another directory", root.display());
        return Err(Failure::new(message));
    }
    fs::DirBuilder::new().recursive(true).mode(0o700).create(root).map_err(|error| failed(root, &error))?;
    let made = Made(Some(root.to_owned()));
    let now = jiff::Timestamp::now();
    let mut addresses = vec![IpAddr::V4(Ipv4Addr::LOCALHOST), IpAddr::V6(Ipv6Addr::LOCALHOST)];
    addresses.extend(ip.filter(|ip| !ip.is_unspecified()));
    let authority = Authority::generate("Mailstead localserve", now)?;
    let issued = authority.issue(&["localhost"], &addresses, now)?;
    for (name, text) in [
        (CA_FILE, authority.certificate_pem().as_str()),
        (CERTIFICATE_FILE, &issued.certificate_pem),
        (KEY_FILE, &issued.key_pem),
        // Last: a directory without it was not finished.
        (CONFIG_FILE, configuration),
    ] {
        write_new(&root.join(name), text)?;
    }
    Ok(made)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn a_directory_that_is_not_kept_disappears() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().join("data");
        drop(make(&root, "", None).unwrap());
        assert!(!root.exists());
        make(&root, "", None).unwrap().keep();
        for entry in fs::read_dir(&root).unwrap() {
            assert_eq!(entry.unwrap().metadata().unwrap().permissions().mode() & 0o777, 0o600);
        }
        assert_eq!(fs::metadata(&root).unwrap().permissions().mode() & 0o777, 0o700);
        assert!(make(&root, "", None).is_err(), "it is not empty");
        assert!(root.join(KEY_FILE).exists(), "and was left alone");
    }
}
