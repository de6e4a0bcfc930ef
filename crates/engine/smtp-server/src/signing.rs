//! DKIM signatures for mail of our domains (RFC 6376 §5).

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use mailstead_config::{Directory, DkimKey};
use mailstead_mailauth::crypto::{KeyType, read_pem};
use mailstead_mailauth::dkim::{Selector, SignError, Signer, sign};
use mailstead_names::Domain;
use mailstead_runtime::Shutdown;
use tokio::sync::watch;

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

type Keys = HashMap<Domain, Arc<[Signer]>>;

/// The keys of our domains. Clones are the same keys.
#[derive(Debug, Clone, Default)]
pub struct Signing {
    keys: Arc<RwLock<Keys>>,
}

impl Signing {
    /// Reads the keys of all domains. Blocks on the disk.
    ///
    /// # Errors
    /// When one cannot be used: mail that leaves unsigned is refused elsewhere, and nobody here would know.
    pub fn load(directory: &Directory) -> Result<Signing, SigningKeyError> {
        Ok(Signing { keys: Arc::new(RwLock::new(read(directory)?)) })
    }

    /// Reads the keys again, for messages that begin from now on. Blocks on the disk.
    ///
    /// # Errors
    /// When one cannot be used. All keys stay as they were then.
    pub fn replace(&self, directory: &Directory) -> Result<(), SigningKeyError> {
        let keys = read(directory)?;
        *self.keys.write().unwrap_or_else(PoisonError::into_inner) = keys;
        Ok(())
    }

    /// Reads the keys again whenever the directory is, until a stop. What is wrong with them then is told in the log.
    pub async fn follow(self, mut directory: watch::Receiver<Arc<Directory>>, shutdown: Shutdown) {
        while let Some(Ok(())) = shutdown.or_begun(directory.changed()).await {
            let present = Arc::clone(&directory.borrow_and_update());
            match self.replace(&present) {
                Ok(()) => tracing::debug!("DKIM keys read again"),
                Err(error) => tracing::error!(%error, "DKIM keys not read again; those in force stay in force"),
            }
        }
    }

    /// The keys that mail of this author is signed with; none where its domain has none.
    pub(crate) fn signers(&self, domain: &Domain) -> Arc<[Signer]> {
        let keys = self.keys.read().unwrap_or_else(PoisonError::into_inner);
        keys.get(domain).map_or_else(|| Arc::from([]), Arc::clone)
    }
}

fn read(directory: &Directory) -> Result<Keys, SigningKeyError> {
    let mut keys = HashMap::new();
    for (domain, rules) in directory.domains() {
        let mut of_domain =
            rules.dkim.iter().map(|key| signer(domain, key)).collect::<Result<Vec<Signer>, SigningKeyError>>()?;
        // RFC 8463 §6: those who know only RSA may stop at the first signature.
        of_domain.sort_by_key(|signer| signer.key.public_key().key_type() != KeyType::Rsa);
        if !of_domain.is_empty() {
            keys.insert(domain.clone(), of_domain.into());
        }
    }
    Ok(keys)
}

/// The signature fields for a message, to be put before its header.
pub(crate) fn signatures(signers: &[Signer], signed: &Signed, at: jiff::Timestamp) -> Result<String, SignError> {
    sign(signers, &CRYPTO, signed.header(), signed.body(), crate::authentication::system_time(at))
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
