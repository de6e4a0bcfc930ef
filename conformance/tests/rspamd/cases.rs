//! The cases: names, a client and a message each, made from tables of what can differ.

mod dkim;
mod dmarc;
mod spf;

use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use mailstead_mailauth::crypto::{AwsLcRs, KeyType, PrivateKey, generate_pem, read_pem};
use mailstead_mailauth::dkim::{BodyHasher, Selector, Signer, sign, split_message};
use mailstead_names::Domain;

/// What every client calls itself.
pub(super) const HELO: &str = "client.helo.example";
/// The client that records name, and one that they do not.
pub(super) const GOOD: &str = "192.0.2.1";
pub(super) const BAD: &str = "192.0.2.200";

/// One message from one client.
#[derive(Debug, Clone)]
pub(super) struct Case {
    pub(super) name: String,
    /// The names that it needs, as lines of a zone file.
    pub(super) zone: String,
    pub(super) ip: IpAddr,
    /// As in MAIL FROM, without angle brackets.
    pub(super) mail_from: String,
    pub(super) message: Vec<u8>,
}

pub(super) fn all() -> Vec<Case> {
    [spf::cases(), dkim::cases(), dmarc::cases()].concat()
}

/// A message of this author.
pub(super) fn message(from: &str) -> String {
    format!(
        "From: Author <{from}>\r\nTo: <rcpt@here.example>\r\nSubject: A question\r\n about dinner\r\n\
         Date: Thu, 26 Nov 2026 10:00:00 +0000\r\nMessage-ID: <1@{HELO}>\r\nMIME-Version: 1.0\r\n\
         Content-Type: text/plain\r\n\r\nHello,\r\n\r\nare you  hungry? \r\n\r\n"
    )
}

/// A line of a zone file with one TXT record, in pieces of what a string can hold.
pub(super) fn txt(owner: &str, text: &str) -> String {
    let pieces = text.as_bytes().chunks(200).map(|piece| format!("\"{}\"", String::from_utf8_lossy(piece)));
    format!("{owner}. 300 IN TXT {}\n", pieces.collect::<Vec<_>>().join(" "))
}

/// A new key.
pub(super) fn key(key_type: KeyType) -> Arc<dyn PrivateKey> {
    let pem = generate_pem(&AwsLcRs, key_type).expect("a key");
    read_pem(&AwsLcRs, pem.expose()).expect("it can be read")
}

/// A message with its signature.
pub(super) fn signed(signer: Signer, message: &str) -> String {
    let signers = [signer];
    let (header, body) = split_message(message.as_bytes());
    let mut hasher = BodyHasher::new(&AwsLcRs);
    signers.iter().for_each(|signer| signer.request(&mut hasher));
    hasher.update(body);
    // Not now: an hour is more than what is granted to clocks that differ.
    let at = SystemTime::now() - Duration::from_secs(3600);
    sign(&signers, &AwsLcRs, header, &hasher.finish(), at).expect("signed") + message
}

/// One who signs for a domain.
pub(super) fn signer(domain: &str, key: &Arc<dyn PrivateKey>) -> Signer {
    Signer::new(Domain::parse(domain).expect("a name"), Selector::parse("key").expect("a selector"), Arc::clone(key))
}
