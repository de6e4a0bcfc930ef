//! What is asked: the arguments of `check_host()` (RFC 7208 §4.1) and what else its macros can show.

use std::fmt;
use std::net::IpAddr;
use std::time::SystemTime;

use mailstead_names::{Domain, EhloName, Localpart, ReversePath};

/// Substituted where a sender has no local part (§2.4, §4.3).
const POSTMASTER: &str = "postmaster";

/// Which of the client's claims is checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Identity {
    /// The reverse-path; where it is null, `postmaster` at the name of the client (§2.4).
    MailFrom,
    /// The name that the client gave in EHLO or HELO (§2.3).
    Helo,
}

impl Identity {
    /// As in Received-SPF (§9.1), and as the property of an Authentication-Results field (RFC 8601 §2.7.2).
    pub fn as_str(self) -> &'static str {
        match self {
            Identity::MailFrom => "mailfrom",
            Identity::Helo => "helo",
        }
    }
}

impl fmt::Display for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// One check: a client, and the identity that it claims.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Query {
    pub(super) ip: IpAddr,
    pub(super) identity: Identity,
    /// Unquoted, never empty.
    pub(super) localpart: String,
    /// As text, because it need not be a domain.
    pub(super) host: String,
    pub(super) domain: Option<Domain>,
    pub(super) helo: String,
    pub(super) receiver: Option<Domain>,
    pub(super) now: SystemTime,
}

impl Query {
    /// May this client use the reverse-path? `now` is only seen by explanations.
    ///
    /// An IPv4-mapped address counts as the IPv4 address that it stands for (§5).
    pub fn mail_from(ip: IpAddr, path: &ReversePath, ehlo: &EhloName, now: SystemTime) -> Query {
        let Some(address) = path.address() else {
            return Query { identity: Identity::MailFrom, ..Query::helo(ip, ehlo, now) };
        };
        let (localpart, host) = (address.localpart.as_str(), address.host.to_string());
        Query::new(ip, Identity::MailFrom, localpart, host, address.domain().cloned(), ehlo, now)
    }

    /// May this client call itself so?
    pub fn helo(ip: IpAddr, ehlo: &EhloName, now: SystemTime) -> Query {
        Query::new(ip, Identity::Helo, POSTMASTER, ehlo.to_string(), ehlo.domain().cloned(), ehlo, now)
    }

    /// The sender as text, for those who have no syntax of their own to keep to. Whatever stands behind the last `@` is
    /// the domain; when it is none, so is the result (§4.3). The local part is taken as it is, without quotes.
    pub fn sender(ip: IpAddr, sender: &str, ehlo: &EhloName, now: SystemTime) -> Query {
        if sender.is_empty() {
            return Query::mail_from(ip, &ReversePath::Null, ehlo, now);
        }
        let (localpart, host) = sender.rsplit_once('@').unwrap_or(("", sender));
        let domain = Domain::parse_lenient(host.strip_suffix('.').unwrap_or(host)).ok();
        Query::new(ip, Identity::MailFrom, localpart, host.to_owned(), domain, ehlo, now)
    }

    fn new(
        ip: IpAddr,
        identity: Identity,
        localpart: &str,
        host: String,
        domain: Option<Domain>,
        ehlo: &EhloName,
        now: SystemTime,
    ) -> Query {
        let localpart = if localpart.is_empty() { POSTMASTER } else { localpart }.to_owned();
        let host = domain.as_ref().map_or(host, Domain::to_string);
        Query { ip: ip.to_canonical(), identity, localpart, host, domain, helo: ehlo.to_string(), receiver: None, now }
    }

    /// Names the host that checks, which explanations may mention and Received-SPF does.
    #[must_use]
    pub fn received_by(mut self, receiver: Domain) -> Query {
        self.receiver = Some(receiver);
        self
    }

    /// The address of the client; never an IPv4-mapped one.
    pub fn ip(&self) -> IpAddr {
        self.ip
    }

    /// What is checked.
    pub fn identity(&self) -> Identity {
        self.identity
    }

    /// Whose record is asked for, unless the client gave no domain.
    pub fn domain(&self) -> Option<&Domain> {
        self.domain.as_ref()
    }

    /// The name that the client gave in EHLO or HELO.
    pub fn ehlo(&self) -> &str {
        &self.helo
    }

    /// The host that checks, where it was named.
    pub fn receiver(&self) -> Option<&Domain> {
        self.receiver.as_ref()
    }

    /// The mailbox that is checked, as it is written in protocols: `postmaster` at the name of the client where that is
    /// the identity or the reverse-path is null.
    pub fn mailbox(&self) -> String {
        match Localpart::new(&self.localpart) {
            Ok(localpart) => format!("{localpart}@{}", self.host),
            Err(_) => format!("{}@{}", self.localpart, self.host),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(query: &Query) -> (&str, &str, Option<&str>) {
        (&query.localpart, &query.host, query.domain().map(Domain::as_ascii))
    }

    #[test]
    fn identities() {
        let ip = "::ffff:192.0.2.1".parse().unwrap();
        let now = SystemTime::UNIX_EPOCH;
        let ehlo = EhloName::parse("mx.bücher.example");
        let mail_from = |path: &str| Query::mail_from(ip, &ReversePath::parse(path).unwrap(), &ehlo, now);

        let query = mail_from("<user@bücher.example>");
        assert_eq!(query.ip(), IpAddr::from([192, 0, 2, 1]));
        assert_eq!(parts(&query), ("user", "xn--bcher-kva.example", Some("xn--bcher-kva.example")));
        let query = mail_from("<\"a b\"@example.org>");
        assert_eq!((parts(&query).0, query.mailbox().as_str()), ("a b", "\"a b\"@example.org"));
        assert_eq!(parts(&mail_from("<\"\"@example.org>")).0, "postmaster");
        assert_eq!(parts(&mail_from("<user@[192.0.2.1]>")), ("user", "[192.0.2.1]", None));

        // RFC 7208 §2.4: a null reverse-path is the postmaster of the client.
        let null = mail_from("<>");
        let name = "mx.xn--bcher-kva.example";
        assert_eq!((null.identity(), parts(&null)), (Identity::MailFrom, ("postmaster", name, Some(name))));
        let helo = Query::helo(ip, &ehlo, now);
        assert_eq!((helo.identity(), parts(&helo)), (Identity::Helo, parts(&null)));
        assert_eq!(parts(&Query::helo(ip, &EhloName::parse("[192.0.2.1]"), now)).2, None);
    }

    #[test]
    fn senders_as_text() {
        let sender = |text: &str| {
            Query::sender([192, 0, 2, 1].into(), text, &EhloName::parse("mx.example"), SystemTime::UNIX_EPOCH)
        };
        assert_eq!(parts(&sender("a@b@Example.org.")), ("a@b", "example.org", Some("example.org")));
        assert_eq!(parts(&sender("@example.org")), ("postmaster", "example.org", Some("example.org")));
        assert_eq!(parts(&sender("example.org")), ("postmaster", "example.org", Some("example.org")));
        assert_eq!(parts(&sender("a@b..example")), ("a", "b..example", None));
        assert_eq!(parts(&sender("")), ("postmaster", "mx.example", Some("mx.example")));
    }
}
