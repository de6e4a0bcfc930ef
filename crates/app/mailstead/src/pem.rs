//! Certificates and keys in PEM (RFC 7468), as people have them in files.

use mailstead_net::tls::provider;
use rustls::pki_types::pem::{Error as PemError, PemObject};
use rustls::pki_types::{PrivateKeyDer, SubjectPublicKeyInfoDer};

/// The first object of a kind.
pub(crate) fn first<T: PemObject>(pem: &[u8]) -> Result<Option<T>, String> {
    match T::from_pem_slice(pem) {
        Ok(object) => Ok(Some(object)),
        Err(PemError::NoItemsFound) => Ok(None),
        Err(error) => Err(format!("cannot be read as PEM: {error}")),
    }
}

/// The public half of a private key.
pub(crate) fn public_half(key: PrivateKeyDer<'static>) -> Result<SubjectPublicKeyInfoDer<'static>, String> {
    let key = provider().key_provider.load_private_key(key).map_err(|error| format!("the key is unusable: {error}"))?;
    let public = key.public_key().ok_or("the public half of the key cannot be told; use a certificate")?;
    Ok(public.into_owned())
}
