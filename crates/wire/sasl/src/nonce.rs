//! The random part of challenges.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;

use crate::Error;

/// Printable text that nobody can guess and that is used in one exchange only.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Nonce(String);

impl Nonce {
    /// From 18 octets of the system's random generator; 144 bits.
    pub fn from_random(octets: [u8; 18]) -> Nonce {
        Nonce(BASE64_STANDARD.encode(octets))
    }

    /// From text, to replay a known exchange.
    ///
    /// # Errors
    /// When it is empty or holds anything but printable ASCII without commas (RFC 5802 §7 `printable`).
    pub fn from_printable(text: &str) -> Result<Nonce, Error> {
        if text.is_empty() || !text.bytes().all(|b| b.is_ascii_graphic() && b != b',') {
            return Err(Error::Malformed("nonce"));
        }
        Ok(Nonce(text.to_owned()))
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}
