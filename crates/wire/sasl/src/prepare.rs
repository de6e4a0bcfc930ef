//! Preparation of user names and passwords, so that one name typed on two keyboards is one name.
//!
//! PRECIS (RFC 8265) for what is compared or hashed by ourselves; SASLprep (RFC 4013) inside SCRAM, where the client's
//! hash of the same password must come out alike.

use mailstead_names::Secret;
use unicode_normalization::UnicodeNormalization as _;

use crate::Error;

/// A user name: NFC, nothing else changed (RFC 8265 §3.4, `UsernameCasePreserved` without the width mapping, as local
/// parts of addresses are treated).
///
/// # Errors
/// When it is empty or contains a control character.
pub fn username(text: &str) -> Result<String, Error> {
    if text.is_empty() || text.chars().any(char::is_control) {
        return Err(Error::Malformed("user name"));
    }
    Ok(text.nfc().collect())
}

/// A password as `OpaqueString` (RFC 8265 §4.2): other spaces become U+0020, then NFC.
///
/// # Errors
/// When it is empty or contains a control character.
pub fn password(text: &str) -> Result<Secret<String>, Error> {
    if text.is_empty() || text.chars().any(char::is_control) {
        return Err(Error::Malformed("password"));
    }
    Ok(opaque(text))
}

/// The mapping of `OpaqueString`, which can be applied to any text.
fn opaque(text: &str) -> Secret<String> {
    // Grown once only, so that no stale copy of the text stays behind in freed memory.
    let mut prepared = String::with_capacity(3 * text.len());
    prepared.extend(text.chars().map(|c| if c.is_whitespace() { ' ' } else { c }).nfc());
    Secret::new(prepared)
}

/// A password for SCRAM (RFC 5802 §2.2 `Normalize`): SASLprep where it applies, else `OpaqueString`.
///
/// SASLprep knows Unicode 3.2 only and refuses what came later. Clients then hash the text as it is, which for typed
/// text is NFC; so the same password comes out alike here, whether it went through [`password`] before or not.
pub(crate) fn scram_password(text: &str) -> Secret<String> {
    stringprep::saslprep(text).map_or_else(|_| opaque(text), |prepared| Secret::new(prepared.into_owned()))
}
