//! DKIM signatures for mail of our domains (RFC 6376 §5).

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use mailstead_config::{Directory, DkimKey};
use mailstead_mailauth::crypto::{KeyType, read_pem};
use mailstead_mailauth::dkim::{BodyHasher, Selector, SignError, Signer, sign};
use mailstead_names::Domain;

use crate::authentication::{CRYPTO, Signed};

/// A key that a domain is to sign with cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("the DKIM key {} of {domain} (selector {selector}) cannot be used: {reason}", file.display())]
pub struct SigningKeyError {
    /// Whose key.
    pub domain: Domain,
    /// Its selector.
    pub selector: String,
    /// The file.
    pub file: PathBuf,
    /// Why.
    pub reason: String,
}

/// The keys of our domains.
#[derive(Debug, Clone, Default)]
pub struct Signing {
    signers: Arc<HashMap<Domain, Vec<Signer>>>,
}

impl Signing {
    /// Reads the keys of all domains. Blocks on the disk.
    ///
    /// # Errors
    /// When one cannot be used: mail that leaves unsigned is refused elsewhere, and nobody here would know.
    pub fn load(directory: &Directory) -> Result<Signing, SigningKeyError> {
        let mut signers = HashMap::new();
        for (domain, rules) in directory.domains() {
            let mut of_domain =
                rules.dkim.iter().map(|key| signer(domain, key)).collect::<Result<Vec<Signer>, SigningKeyError>>()?;
            // RFC 8463 §6: those who know only RSA may stop at the first signature.
            of_domain.sort_by_key(|signer| signer.key.public_key().key_type() != KeyType::Rsa);
            if !of_domain.is_empty() {
                signers.insert(domain.clone(), of_domain);
            }
        }
        Ok(Signing { signers: Arc::new(signers) })
    }

    /// The keys that mail of this author is signed with.
    pub(crate) fn signers(&self, domain: &Domain) -> &[Signer] {
        self.signers.get(domain).map_or(&[], Vec::as_slice)
    }

    /// Asks for the hashes of the body that the signatures of this domain need.
    pub(crate) fn request(&self, domain: &Domain, body: &mut BodyHasher<'_>) {
        self.signers(domain).iter().for_each(|signer| signer.request(body));
    }

    /// The signature fields for a message, to be put before its header.
    pub(crate) fn sign(&self, domain: &Domain, signed: &Signed, at: jiff::Timestamp) -> Result<String, SignError> {
        sign(self.signers(domain), &CRYPTO, signed.header(), signed.body(), crate::authentication::system_time(at))
    }
}

fn signer(domain: &Domain, key: &DkimKey) -> Result<Signer, SigningKeyError> {
    let failed = |reason: String| SigningKeyError {
        domain: domain.clone(),
        selector: key.selector.clone(),
        file: key.file.clone(),
        reason,
    };
    let pem = std::fs::read_to_string(&key.file).map_err(|error| failed(error.to_string()))?;
    let private = read_pem(&CRYPTO, &pem).map_err(|error| failed(error.to_string()))?;
    let selector = Selector::parse(&key.selector).map_err(|error| failed(error.to_string()))?;
    let mut signer = Signer::new(domain.clone(), selector, private);
    signer.lifetime = Some(Duration::from_secs(u64::from(key.valid_days) * 86_400));
    Ok(signer)
}
