//! OAUTHBEARER (RFC 7628 §3.1).
//!
//! ```text
//! client-resp = (gs2-header kvsep *kvpair kvsep) / kvsep
//! kvpair      = key "=" value kvsep
//! kvsep       = %x01
//! ```

use mailstead_names::Secret;

use crate::Error;
use crate::scram::message::{Gs2Flag, Gs2Header};

/// What the client sends after an error (§3.2.3).
pub(crate) const ACKNOWLEDGEMENT: &[u8] = b"\x01";

/// The server's error (§3.2.2). Nothing is said about where to get a better token.
pub(crate) const INVALID_TOKEN: &[u8] = br#"{"status":"invalid_token"}"#;

pub(crate) struct Message {
    pub(crate) authzid: Option<String>,
    pub(crate) token: Secret<String>,
}

pub(crate) fn parse(octets: &[u8]) -> Result<Message, Error> {
    let text = std::str::from_utf8(octets).map_err(|_| Error::Malformed("not UTF-8"))?;
    let (header, pairs) = text.split_once('\x01').ok_or(Error::Malformed("no separator"))?;
    let (header, rest) = Gs2Header::parse(header)?;
    // §3.1: bearer tokens are not bound to the channel.
    if !rest.is_empty() || matches!(header.flag, Gs2Flag::Bound(_)) {
        return Err(Error::Malformed("gs2 header"));
    }
    let pairs = pairs.strip_suffix("\x01\x01").ok_or(Error::Malformed("no end"))?;
    let mut token = None;
    for pair in pairs.split('\x01') {
        match pair.split_once('=') {
            Some(("auth", value)) => token = Some(bearer(value)?),
            Some(_) => {}
            None => return Err(Error::Malformed("key without value")),
        }
    }
    let token = token.ok_or(Error::Malformed("no auth value"))?;
    Ok(Message { authzid: header.authzid, token })
}

/// `Bearer` and a token (RFC 6750 §2.1); the scheme in any case of letters.
fn bearer(value: &str) -> Result<Secret<String>, Error> {
    match value.split_once(' ') {
        Some((scheme, token)) if scheme.eq_ignore_ascii_case("Bearer") && !token.trim().is_empty() => {
            Ok(Secret::new(token.trim().to_owned()))
        }
        _ => Err(Error::Malformed("not a bearer token")),
    }
}

pub(crate) fn write(authzid: Option<&str>, token: &str) -> Vec<u8> {
    let header = Gs2Header { flag: Gs2Flag::Unsupported, authzid: authzid.map(str::to_owned) };
    format!("{header}\x01auth=Bearer {token}\x01\x01").into_bytes()
}
