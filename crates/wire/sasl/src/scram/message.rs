//! The messages of SCRAM (RFC 5802 §7).
//!
//! ```text
//! gs2-cbind-flag  = ("p=" cb-name) / "n" / "y"
//! gs2-header      = gs2-cbind-flag "," [ authzid ] ","
//! authzid         = "a=" saslname
//! saslname        = 1*(value-safe-char / "=2C" / "=3D")
//! client-first-message-bare = [reserved-mext ","] username "," nonce ["," extensions]
//! client-first-message      = gs2-header client-first-message-bare
//! server-first-message      = [reserved-mext ","] nonce "," salt "," iteration-count ["," extensions]
//! client-final-message-without-proof = channel-binding "," nonce ["," extensions]
//! client-final-message      = client-final-message-without-proof "," proof
//! server-final-message      = (server-error / verifier) ["," extensions]
//! ```

use std::fmt;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;

use crate::{Error, prepare};

/// The client's word on channel binding.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Gs2Flag {
    /// `n`: the client cannot.
    Unsupported,
    /// `y`: the client can, but thinks that the server cannot.
    NotOffered,
    /// `p=type`: this exchange is bound.
    Bound(String),
}

/// `gs2-header`
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Gs2Header {
    pub(crate) flag: Gs2Flag,
    pub(crate) authzid: Option<String>,
}

impl Gs2Header {
    /// Reads the header and returns what follows it.
    pub(crate) fn parse(text: &str) -> Result<(Gs2Header, &str), Error> {
        let malformed = Error::Malformed("gs2 header");
        let mut parts = text.splitn(3, ',');
        let (Some(flag), Some(authzid), Some(rest)) = (parts.next(), parts.next(), parts.next()) else {
            return Err(malformed);
        };
        let flag = match flag {
            "n" => Gs2Flag::Unsupported,
            "y" => Gs2Flag::NotOffered,
            _ => match flag.strip_prefix("p=") {
                Some(name) if !name.is_empty() => Gs2Flag::Bound(name.to_owned()),
                _ => return Err(malformed),
            },
        };
        let authzid = match authzid.strip_prefix("a=") {
            Some(name) => Some(prepare::username(&unescape(name)?)?),
            None if authzid.is_empty() => None,
            None => return Err(malformed),
        };
        Ok((Gs2Header { flag, authzid }, rest))
    }
}

impl fmt::Display for Gs2Header {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.flag {
            Gs2Flag::Unsupported => f.write_str("n,")?,
            Gs2Flag::NotOffered => f.write_str("y,")?,
            Gs2Flag::Bound(name) => write!(f, "p={name},")?,
        }
        match &self.authzid {
            Some(authzid) => write!(f, "a={},", escape(authzid)),
            None => f.write_str(","),
        }
    }
}

/// `saslname`: commas and equals signs are written `=2C` and `=3D`.
pub(crate) fn escape(name: &str) -> String {
    name.replace('=', "=3D").replace(',', "=2C")
}

fn unescape(name: &str) -> Result<String, Error> {
    let mut pieces = name.split('=');
    let mut plain = pieces.next().unwrap_or_default().to_owned();
    for piece in pieces {
        // §5.1: any other "=" makes the server fail the authentication.
        let (c, rest) = match (piece.strip_prefix("2C"), piece.strip_prefix("3D")) {
            (Some(rest), _) => (',', rest),
            (_, Some(rest)) => ('=', rest),
            _ => return Err(Error::Malformed("name with a bare equals sign")),
        };
        plain.push(c);
        plain.push_str(rest);
    }
    Ok(plain)
}

/// `client-first-message`
#[derive(Debug)]
pub(crate) struct ClientFirst {
    pub(crate) header: Gs2Header,
    /// The header as it was sent: it comes back in `c=`.
    pub(crate) raw_header: String,
    pub(crate) bare: String,
    pub(crate) username: String,
    pub(crate) nonce: String,
}

impl ClientFirst {
    pub(crate) fn parse(octets: &[u8]) -> Result<ClientFirst, Error> {
        let text = utf8(octets)?;
        let (header, bare) = Gs2Header::parse(text)?;
        let raw_header = text.strip_suffix(bare).unwrap_or_default().to_owned();
        let mut attributes = Attributes::new(bare)?;
        let username = prepare::username(&unescape(attributes.take('n')?)?)?;
        let nonce = attributes.take('r')?.to_owned();
        check_nonce(&nonce)?;
        Ok(ClientFirst { header, raw_header, bare: bare.to_owned(), username, nonce })
    }
}

/// `server-first-message`
#[derive(Debug)]
pub(crate) struct ServerFirst {
    pub(crate) nonce: String,
    pub(crate) salt: Vec<u8>,
    pub(crate) iterations: u32,
}

impl ServerFirst {
    pub(crate) fn parse(octets: &[u8]) -> Result<ServerFirst, Error> {
        let mut attributes = Attributes::new(utf8(octets)?)?;
        let nonce = attributes.take('r')?.to_owned();
        check_nonce(&nonce)?;
        let salt = base64(attributes.take('s')?)?;
        let iterations = attributes.take('i')?.parse().map_err(|_| Error::Malformed("iteration count"))?;
        Ok(ServerFirst { nonce, salt, iterations })
    }
}

impl fmt::Display for ServerFirst {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "r={},s={},i={}", self.nonce, BASE64_STANDARD.encode(&self.salt), self.iterations)
    }
}

/// `client-final-message`
#[derive(Debug)]
pub(crate) struct ClientFinal {
    pub(crate) without_proof: String,
    /// `cbind-input`: the gs2 header and the binding data.
    pub(crate) cbind_input: Vec<u8>,
    pub(crate) nonce: String,
    pub(crate) proof: Vec<u8>,
}

impl ClientFinal {
    pub(crate) fn parse(octets: &[u8]) -> Result<ClientFinal, Error> {
        let text = utf8(octets)?;
        let (without_proof, proof) = text.rsplit_once(",p=").ok_or(Error::Malformed("no proof"))?;
        let mut attributes = Attributes::new(without_proof)?;
        let cbind_input = base64(attributes.take('c')?)?;
        let nonce = attributes.take('r')?.to_owned();
        Ok(ClientFinal { without_proof: without_proof.to_owned(), cbind_input, nonce, proof: base64(proof)? })
    }
}

/// `client-final-message-without-proof`
pub(crate) fn client_final_without_proof(cbind_input: &[u8], nonce: &str) -> String {
    format!("c={},r={nonce}", BASE64_STANDARD.encode(cbind_input))
}

/// `client-final-message`
pub(crate) fn client_final(without_proof: &str, proof: &[u8]) -> String {
    format!("{without_proof},p={}", BASE64_STANDARD.encode(proof))
}

/// `server-final-message` of a server that is satisfied.
pub(crate) fn server_final(signature: &[u8]) -> String {
    format!("v={}", BASE64_STANDARD.encode(signature))
}

/// The server's signature out of a `server-final-message`.
pub(crate) fn parse_server_final(octets: &[u8]) -> Result<Vec<u8>, Error> {
    let mut attributes = Attributes::new(utf8(octets)?)?;
    if let Ok(reason) = attributes.take('e') {
        return Err(Error::Refused(reason.chars().filter(|c| !c.is_control()).take(100).collect()));
    }
    base64(attributes.take('v')?)
}

/// What both sides sign: the three messages so far.
pub(crate) fn auth_message(client_first_bare: &str, server_first: &str, client_final_without_proof: &str) -> Vec<u8> {
    format!("{client_first_bare},{server_first},{client_final_without_proof}").into_bytes()
}

/// Attributes come in a fixed order; unknown ones behind them are ignored (§5.1).
struct Attributes<'a> {
    rest: Option<&'a str>,
}

impl<'a> Attributes<'a> {
    fn new(text: &'a str) -> Result<Attributes<'a>, Error> {
        // §5.1: "m" in front announces an extension that must be understood. There is none.
        if text.starts_with("m=") {
            return Err(Error::Malformed("unsupported mandatory extension"));
        }
        Ok(Attributes { rest: Some(text) })
    }

    fn take(&mut self, name: char) -> Result<&'a str, Error> {
        let missing = Error::Malformed("missing attribute");
        let text = self.rest.ok_or(missing.clone())?;
        let (attribute, rest) = match text.split_once(',') {
            Some((attribute, rest)) => (attribute, Some(rest)),
            None => (text, None),
        };
        let value = attribute.strip_prefix(name).and_then(|a| a.strip_prefix('=')).ok_or(missing)?;
        self.rest = rest;
        Ok(value)
    }
}

fn check_nonce(nonce: &str) -> Result<(), Error> {
    // §7: printable = %x21-2B / %x2D-7E; the comma cannot occur here any more.
    if nonce.is_empty() || !nonce.bytes().all(|b| b.is_ascii_graphic()) {
        return Err(Error::Malformed("nonce"));
    }
    Ok(())
}

fn utf8(octets: &[u8]) -> Result<&str, Error> {
    std::str::from_utf8(octets).map_err(|_| Error::Malformed("not UTF-8"))
}

fn base64(text: &str) -> Result<Vec<u8>, Error> {
    BASE64_STANDARD.decode(text).map_err(|_| Error::Malformed("base64"))
}
