//! Signing (RFC 6376 §5).

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use mailstead_message::Fields;
use mailstead_names::Domain;

use super::{
    Algorithm, BodyHash, BodyHasher, BodyHashes, Canonicalization, HeaderIndex, Identity, Selector, signature,
};
use crate::crypto::{Crypto, PrivateKey, SigningFailed};

/// Lines of the field are not longer, without CRLF, unless a name is.
const LINE: usize = 76;

/// Why there is no signature.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SignError {
    /// The message has no From field, which must be signed (§5.4).
    #[error("the message has no From field")]
    NoFrom,
    /// The hash of the body was not asked for in time ([`Signer::request`]).
    #[error("the body was not hashed")]
    BodyNotHashed,
    /// The identity is not in the domain (§3.5, `i=`).
    #[error("the identity is not within the signing domain")]
    Identity,
    /// The name of a field is not one.
    #[error("a field that is to be signed has no valid name")]
    FieldName,
    /// The key cannot be used.
    #[error(transparent)]
    Key(#[from] SigningFailed),
}

/// Which header fields a signature covers (§5.4).
///
/// The default follows §5.4.1. What recipients see and programs act upon is over-signed: the name is listed once more than
/// there are fields, so that none can be added (§8.15). What mailing lists add to messages they pass on unchanged (`List-*`,
/// Sender) is signed where it is there, and can be added later.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Coverage {
    /// Signed as often as they occur.
    pub signed: Vec<String>,
    /// Signed as often as they occur, and once more. From always is.
    pub oversigned: Vec<String>,
}

impl Default for Coverage {
    fn default() -> Coverage {
        let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        Coverage {
            signed: names(&[
                "Sender",
                "Resent-Date",
                "Resent-From",
                "Resent-Sender",
                "Resent-To",
                "Resent-Cc",
                "Resent-Message-ID",
                "List-ID",
                "List-Help",
                "List-Unsubscribe",
                // RFC 8058 §4
                "List-Unsubscribe-Post",
                "List-Subscribe",
                "List-Post",
                "List-Owner",
                "List-Archive",
            ]),
            oversigned: names(&[
                "From",
                "Reply-To",
                "To",
                "Cc",
                "Subject",
                "Date",
                "Message-ID",
                "In-Reply-To",
                "References",
                "MIME-Version",
                "Content-Type",
                "Content-Transfer-Encoding",
            ]),
        }
    }
}

impl Coverage {
    /// The names for `h=`.
    fn names(&self, index: &HeaderIndex<'_>) -> Result<Vec<String>, SignError> {
        let mut names: Vec<(String, usize)> = Vec::new();
        let oversigned = std::iter::once("from").chain(self.oversigned.iter().map(String::as_str));
        let all = oversigned.map(|name| (name, 1)).chain(self.signed.iter().map(|name| (name.as_str(), 0)));
        for (name, more) in all {
            // RFC 5322 §3.6.8; a semicolon would end the tag.
            if name.is_empty() || !name.bytes().all(|octet| octet.is_ascii_graphic() && !matches!(octet, b':' | b';')) {
                return Err(SignError::FieldName);
            }
            let name = name.to_ascii_lowercase();
            let times = index.count(&name) + more;
            if !names.iter().any(|(before, _)| *before == name) {
                names.push((name, times));
            }
        }
        Ok(names.into_iter().flat_map(|(name, times)| std::iter::repeat_n(name, times)).collect())
    }
}

/// A key with what it signs as, and how.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Signer {
    /// `d=`
    pub domain: Domain,
    /// `s=`
    pub selector: Selector,
    /// The key.
    pub key: Arc<dyn PrivateKey>,
    /// Of the header.
    pub header_canonicalization: Canonicalization,
    /// Of the body.
    pub body_canonicalization: Canonicalization,
    /// The fields to sign.
    pub coverage: Coverage,
    /// `x=`, counted from `t=`. Seconds; at least one.
    pub lifetime: Option<Duration>,
    /// `i=`, left out unless given.
    pub identity: Option<Identity>,
}

impl Signer {
    /// The usual way: relaxed, the default coverage, without expiry and identity.
    pub fn new(domain: Domain, selector: Selector, key: Arc<dyn PrivateKey>) -> Signer {
        Signer {
            domain,
            selector,
            key,
            header_canonicalization: Canonicalization::Relaxed,
            body_canonicalization: Canonicalization::Relaxed,
            coverage: Coverage::default(),
            lifetime: None,
            identity: None,
        }
    }

    /// Asks for the hash of the body that [`Signer::sign`] needs. Signers that want the same share it.
    pub fn request(&self, body: &mut BodyHasher<'_>) {
        body.request(self.body_canonicalization, None);
    }

    /// Makes the DKIM-Signature field, folded and with its CRLF, to be put before the header (§5.6).
    ///
    /// # Errors
    /// When the message cannot be signed.
    pub fn sign(
        &self,
        crypto: &dyn Crypto,
        header: &[u8],
        body: &BodyHashes,
        now: SystemTime,
    ) -> Result<String, SignError> {
        self.sign_indexed(crypto, &HeaderIndex::new(header), body, now)
    }

    fn sign_indexed(
        &self,
        crypto: &dyn Crypto,
        index: &HeaderIndex<'_>,
        body: &BodyHashes,
        now: SystemTime,
    ) -> Result<String, SignError> {
        if index.count("from") == 0 {
            return Err(SignError::NoFrom);
        }
        let Some(BodyHash::Digest(body_hash)) = body.hash(self.body_canonicalization, None) else {
            return Err(SignError::BodyNotHashed);
        };
        let names = self.coverage.names(index)?;
        let unsigned = self.compose(&names, &STANDARD.encode(body_hash), now)?;

        let mut octets = Vec::with_capacity(4096);
        for field in index.select(&names, None) {
            self.header_canonicalization.field(field, &mut octets);
        }
        // The value of b= ends the field, so that it begins and ends where the value does.
        if let Some(field) = Fields::new(unsigned.as_bytes()).next() {
            let end = field.value().len();
            self.header_canonicalization.own_field(&field, &(end..end), &mut octets);
        }
        let mut hash = crypto.sha256();
        hash.update(&octets);
        let signature = self.key.sign(&hash.finish())?;

        let mut field = Folded::after(unsigned);
        field.base64(&STANDARD.encode(signature));
        Ok(field.text + "\r\n")
    }

    /// The field up to `b=`.
    fn compose(&self, names: &[String], body_hash: &str, now: SystemTime) -> Result<String, SignError> {
        let time = now.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        let mut field = Folded::after("DKIM-Signature:".to_owned());
        field.word("v=1;");
        field.word(&format!("a={};", Algorithm::of(self.key.public_key().key_type())));
        field.word(&format!("c={}/{};", self.header_canonicalization, self.body_canonicalization));
        // A-labels are valid in internationalised headers too, and understood by verifiers that do not know RFC 8616.
        field.word(&format!("d={};", self.domain));
        field.word(&format!("s={};", self.selector));
        if let Some(identity) = &self.identity {
            if !identity.domain.is_subdomain_of(&self.domain) {
                return Err(SignError::Identity);
            }
            field.word(&format!("i={}@{};", signature::quote(&identity.localpart), identity.domain));
        }
        field.word(&format!("t={time};"));
        if let Some(lifetime) = self.lifetime {
            field.word(&format!("x={};", time.saturating_add(lifetime.as_secs().max(1))));
        }
        for (position, name) in names.iter().enumerate() {
            let begin = if position == 0 { "h=" } else { "" };
            let end = if position + 1 == names.len() { ";" } else { ":" };
            let piece = format!("{begin}{name}{end}");
            if position == 0 { field.word(&piece) } else { field.glued(&piece) }
        }
        field.word(&format!("bh={body_hash};"));
        field.word("b=");
        Ok(field.text)
    }
}

/// Signs with several keys, over one header and body. The fields are in the order of the signers, to be put before the
/// header as they are; none of them signs another.
///
/// RSA first and Ed25519 beside it is what verifiers are best served with (RFC 8463 §6): those that do not know Ed25519
/// and stop at the first signature find one that they know.
///
/// # Errors
/// When the message cannot be signed.
pub fn sign(
    signers: &[Signer],
    crypto: &dyn Crypto,
    header: &[u8],
    body: &BodyHashes,
    now: SystemTime,
) -> Result<String, SignError> {
    let index = HeaderIndex::new(header);
    signers.iter().map(|signer| signer.sign_indexed(crypto, &index, body, now)).collect()
}

/// A field being folded (RFC 5322 §2.2.3).
struct Folded {
    text: String,
    line: usize,
}

impl Folded {
    fn after(text: String) -> Folded {
        let line = text.rsplit('\n').next().map_or(0, str::len);
        Folded { text, line }
    }

    /// Adds a piece after white space.
    fn word(&mut self, piece: &str) {
        let space = if self.line + 1 + piece.len() > LINE { self.fold() } else { " " };
        self.text.push_str(space);
        self.text.push_str(piece);
        self.line += 1 + piece.len();
    }

    /// Adds a piece without white space where it fits.
    fn glued(&mut self, piece: &str) {
        if self.line + piece.len() > LINE { self.word(piece) } else { self.append(piece) }
    }

    /// Adds base64, which may be folded anywhere.
    fn base64(&mut self, mut text: &str) {
        while !text.is_empty() {
            let room = LINE.saturating_sub(self.line);
            let (now, rest) = text.split_at_checked(room).unwrap_or((text, ""));
            self.append(now);
            text = rest;
            if !text.is_empty() {
                let space = self.fold();
                self.text.push_str(space);
                self.line += 1;
            }
        }
    }

    fn append(&mut self, piece: &str) {
        self.text.push_str(piece);
        self.line += piece.len();
    }

    fn fold(&mut self) -> &'static str {
        self.line = 0;
        "\r\n "
    }
}
