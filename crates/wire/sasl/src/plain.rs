//! PLAIN (RFC 4616 §2).
//!
//! ```text
//! message = [authzid] UTF8NUL authcid UTF8NUL passwd
//! ```

use mailstead_names::Secret;

use crate::{Error, prepare};

pub(crate) struct Message {
    pub(crate) authzid: Option<String>,
    pub(crate) authcid: String,
    pub(crate) password: Secret<String>,
}

pub(crate) fn parse(octets: &[u8]) -> Result<Message, Error> {
    let text = std::str::from_utf8(octets).map_err(|_| Error::Malformed("not UTF-8"))?;
    let mut tokens = text.split('\0');
    let (Some(authzid), Some(authcid), Some(password), None) =
        (tokens.next(), tokens.next(), tokens.next(), tokens.next())
    else {
        return Err(Error::Malformed("PLAIN takes three strings with a NUL between them"));
    };
    Ok(Message {
        authzid: if authzid.is_empty() { None } else { Some(prepare::username(authzid)?) },
        authcid: prepare::username(authcid)?,
        password: prepare::password(password)?,
    })
}

pub(crate) fn write(authzid: Option<&str>, authcid: &str, password: &str) -> Vec<u8> {
    [authzid.unwrap_or_default(), authcid, password].join("\0").into_bytes()
}
