//! Where mail goes that is not for us: routes, of which the first that matches decides, and transports, the ways that they
//! name.
//!
//! Nothing is decided here about TLS: what a transport demands of connections, `plan` is told.

use std::net::IpAddr;
use std::sync::Arc;

use mailstead_names::{Address, Domain, DomainPattern, EnhancedStatus, Host, ReversePath};
use mailstead_net::Dialer;
use mailstead_sasl::client::Credentials;
use mailstead_smtp::{Reply, Severity};
use mailstead_store::{AccountId, QueueRow};
use mailstead_tlspolicy::facts::RouteSecurity;

use crate::facts::SMTP_PORT;
use crate::outcome::{Failure, Permanence};
use crate::settings::OutgoingTls;

/// The routes, and what is done where none matches.
#[derive(Debug, Clone)]
pub struct Routes {
    /// In order: the first that matches decides.
    pub routes: Vec<Route>,
    /// For mail that no route matches.
    pub otherwise: Arc<Transport>,
}

/// Some of the mail, and the way that it goes.
#[derive(Debug, Clone)]
pub struct Route {
    /// Accounts that submitted it; none for any, and for what no account did.
    pub submitters: Vec<AccountId>,
    /// Domains of the sender; none for any, the null reverse-path included, which is of no domain.
    pub from: Vec<DomainPattern>,
    /// Domains of the recipient; none for any, address literals included.
    pub to: Vec<DomainPattern>,
    /// How many attempts must have been made before.
    pub minimum_attempts: u32,
    /// The way.
    pub transport: Arc<Transport>,
}

/// What of a message decides about its route. Each recipient has its own.
#[derive(Debug, Clone, Copy)]
pub struct Passage<'a> {
    /// The account that submitted it.
    pub submitter: Option<AccountId>,
    /// From whom.
    pub sender: &'a ReversePath,
    /// To whom.
    pub recipient: &'a Address,
    /// How many attempts were made before.
    pub attempts: u32,
}

impl<'a> Passage<'a> {
    /// Of a row whose next attempt has been counted already.
    pub(crate) fn of(row: &'a QueueRow) -> Passage<'a> {
        Passage {
            submitter: row.submitter,
            sender: &row.sender,
            recipient: &row.recipient,
            attempts: row.attempts.saturating_sub(1),
        }
    }
}

impl Routes {
    /// This transport for all mail.
    #[must_use]
    pub fn only(transport: Transport) -> Routes {
        Routes { routes: Vec::new(), otherwise: Arc::new(transport) }
    }

    /// The transport for this passage.
    #[must_use]
    pub fn choose(&self, passage: Passage<'_>) -> &Arc<Transport> {
        let route = self.routes.iter().find(|route| route.matches(passage));
        route.map_or(&self.otherwise, |route| &route.transport)
    }
}

impl Route {
    fn matches(&self, passage: Passage<'_>) -> bool {
        let is_among = |patterns: &[DomainPattern], domain: Option<&Domain>| {
            patterns.is_empty() || domain.is_some_and(|domain| patterns.iter().any(|pattern| pattern.matches(domain)))
        };
        let sender = passage.sender.address().and_then(|address| address.domain());
        let is_of = |account| self.submitters.contains(&account);
        (self.submitters.is_empty() || passage.submitter.is_some_and(is_of))
            && is_among(&self.from, sender)
            && is_among(&self.to, passage.recipient.domain())
            && passage.attempts >= self.minimum_attempts
    }
}

/// A way that mail goes.
#[derive(Debug, Clone)]
pub struct Transport {
    /// The operator's name for it; `None` for what is done without a route.
    pub name: Option<String>,
    /// Which way.
    pub kind: TransportKind,
}

/// How mail leaves.
#[derive(Debug, Clone)]
pub enum TransportKind {
    /// To the servers of the recipient's domain, as the DNS says (RFC 5321 §5.1).
    Direct(Direct),
    /// To one server, which takes it from there.
    Relay(NextHop),
    /// Not at all: this is what the sender is told, for good where it is a permanent reply, else after the last attempt.
    Fail(Reply),
}

impl TransportKind {
    /// What is told of mail that must not leave: for good where the code is a permanent one (RFC 5321 §4.2.1).
    #[must_use]
    pub fn refusal(code: u16, text: &str) -> TransportKind {
        let class = if Reply::plain(code, text).severity() == Severity::Permanent { 5 } else { 4 };
        TransportKind::Fail(Reply::new(code, EnhancedStatus::new(class, 7, 1), text))
    }
}

/// Delivery to the servers of the recipient's domain.
#[derive(Debug, Clone, Default)]
pub struct Direct {
    /// Which of their addresses are connected to.
    pub families: Families,
    /// What stands in between.
    pub proxy: Option<ProxyPassage>,
}

/// Address families.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Families {
    /// IPv6 and IPv4.
    #[default]
    Both,
    /// IPv4 only.
    Ipv4,
    /// IPv6 only.
    Ipv6,
}

impl Families {
    /// Whether this address is of one of them.
    #[must_use]
    pub fn admit(self, ip: &IpAddr) -> bool {
        match self {
            Families::Both => true,
            Families::Ipv4 => ip.is_ipv4(),
            Families::Ipv6 => ip.is_ipv6(),
        }
    }

    /// For people.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Families::Both => "IP",
            Families::Ipv4 => "IPv4",
            Families::Ipv6 => "IPv6",
        }
    }
}

/// Connections through a proxy.
#[derive(Debug, Clone)]
pub struct ProxyPassage {
    /// Connects to servers through it.
    pub dialer: Arc<dyn Dialer>,
    /// How we greet there, if not as ourselves: servers compare it with the address that they see.
    pub hostname: Option<Domain>,
}

/// A server that takes mail for elsewhere.
#[derive(Debug, Clone)]
pub struct NextHop {
    /// Name or address.
    pub host: Host,
    /// TCP port.
    pub port: u16,
    /// TLS towards it.
    pub security: RouteSecurity,
    /// Whom to believe that it is the one, where that is not as for others.
    pub tls: Option<OutgoingTls>,
    /// How to log in there, if at all. Sent over TLS only.
    pub credentials: Option<Credentials>,
}

impl From<TransportKind> for Transport {
    fn from(kind: TransportKind) -> Transport {
        Transport { name: None, kind }
    }
}

impl Transport {
    /// Who carries mail.
    ///
    /// # Errors
    /// The failure that takes its place.
    pub(crate) fn carrier(&self) -> Result<Carrier<'_>, Failure> {
        match &self.kind {
            TransportKind::Direct(direct) => Ok(Carrier::Direct(direct)),
            TransportKind::Relay(hop) => Ok(Carrier::Relay(hop)),
            TransportKind::Fail(reply) => {
                let permanence = match reply.severity() {
                    Severity::Permanent => Permanence::Permanent,
                    _ => Permanence::Temporary,
                };
                // No server has answered: it is our word.
                Err(Failure { text: reply.text(), ..Failure::of_reply(reply.clone(), permanence) })
            }
        }
    }

    /// For metrics.
    pub(crate) fn label(&self) -> &'static str {
        match &self.kind {
            TransportKind::Direct(Direct { proxy: None, .. }) => "direct",
            TransportKind::Direct(Direct { proxy: Some(_), .. }) => "socks",
            TransportKind::Relay(_) => "relay",
            TransportKind::Fail(_) => "fail",
        }
    }
}

/// A transport that mail leaves by.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Carrier<'a> {
    Direct(&'a Direct),
    Relay(&'a NextHop),
}

impl<'a> Carrier<'a> {
    /// The server that takes the mail, where it does not go directly.
    pub(crate) fn relay(self) -> Option<&'a NextHop> {
        match self {
            Carrier::Direct(_) => None,
            Carrier::Relay(hop) => Some(hop),
        }
    }

    /// What stands between us and the servers.
    pub(crate) fn proxy(self) -> Option<&'a ProxyPassage> {
        match self {
            Carrier::Direct(direct) => direct.proxy.as_ref(),
            Carrier::Relay(_) => None,
        }
    }

    /// Which addresses are connected to.
    pub(crate) fn families(self) -> Families {
        match self {
            Carrier::Direct(direct) => direct.families,
            Carrier::Relay(_) => Families::Both,
        }
    }

    /// The port that is connected to: a relay's, or else that of mail between servers.
    pub(crate) fn port(self) -> u16 {
        self.relay().map_or(SMTP_PORT, |hop| hop.port)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn patterns(text: &str) -> Vec<DomainPattern> {
        text.split_whitespace().map(|pattern| DomainPattern::parse(pattern).unwrap()).collect()
    }

    fn named(name: &str) -> Arc<Transport> {
        Arc::new(Transport { name: Some(name.to_owned()), kind: TransportKind::Direct(Direct::default()) })
    }

    fn route(from: &str, to: &str, minimum_attempts: u32, transport: &str) -> Route {
        let (from, to) = (patterns(from), patterns(to));
        Route { submitters: Vec::new(), from, to, minimum_attempts, transport: named(transport) }
    }

    fn chosen(routes: Vec<Route>, sender: &str, recipient: &str, attempts: u32) -> String {
        let routes = Routes { routes, otherwise: named("otherwise") };
        let sender = ReversePath::parse(sender).unwrap();
        let recipient = Address::parse(&format!("a@{recipient}")).unwrap();
        let passage = Passage { submitter: None, sender: &sender, recipient: &recipient, attempts };
        routes.choose(passage).name.clone().unwrap()
    }

    #[test]
    fn by_sender() {
        let chosen = |sender| chosen(vec![route("one.example .two.example", "", 0, "it")], sender, "other.example", 0);
        assert_eq!(chosen("<x@one.example>"), "it");
        assert_eq!(chosen("<x@sub.one.example>"), "otherwise");
        assert_eq!(chosen("<x@sub.two.example>"), "it");
        assert_eq!(chosen("<x@three.example>"), "otherwise");
        assert_eq!(chosen("<x@[192.0.2.1]>"), "otherwise");
        assert_eq!(chosen("<>"), "otherwise");
    }

    #[test]
    fn by_recipient() {
        let chosen = |recipient| chosen(vec![route("", ".two.example", 0, "it")], "<>", recipient, 0);
        assert_eq!(chosen("two.example"), "it");
        assert_eq!(chosen("a.two.example"), "it");
        assert_eq!(chosen("atwo.example"), "otherwise");
        assert_eq!(chosen("[192.0.2.1]"), "otherwise");
    }

    #[test]
    fn by_attempts_made() {
        let chosen = |attempts| chosen(vec![route("", "", 2, "it")], "<>", "[192.0.2.1]", attempts);
        assert_eq!((0..4).map(chosen).collect::<Vec<_>>(), ["otherwise", "otherwise", "it", "it"]);
    }

    #[test]
    fn by_account() {
        let submitters = vec![AccountId(1), AccountId(2)];
        let routes = vec![Route { submitters, ..route("", "", 0, "it") }];
        let routes = Routes { routes, otherwise: named("otherwise") };
        let recipient = Address::parse("a@other.example").unwrap();
        let chosen = |submitter: Option<i64>| {
            let submitter = submitter.map(AccountId);
            let passage = Passage { submitter, sender: &ReversePath::Null, recipient: &recipient, attempts: 0 };
            routes.choose(passage).name.clone().unwrap()
        };
        assert_eq!([Some(1), Some(2), Some(3), None].map(chosen), ["it", "it", "otherwise", "otherwise"]);
    }

    #[test]
    fn all_must_match_and_the_first_that_does_decides() {
        let routes = || {
            vec![
                route("one.example", "two.example", 1, "narrow"),
                route("one.example", "", 0, "sender"),
                route("", "two.example", 0, "recipient"),
                route("", "", 5, "late"),
            ]
        };
        assert_eq!(chosen(routes(), "<x@one.example>", "two.example", 1), "narrow");
        assert_eq!(chosen(routes(), "<x@one.example>", "two.example", 0), "sender");
        assert_eq!(chosen(routes(), "<x@one.example>", "three.example", 9), "sender");
        assert_eq!(chosen(routes(), "<x@three.example>", "two.example", 9), "recipient");
        assert_eq!(chosen(routes(), "<x@three.example>", "three.example", 5), "late");
        assert_eq!(chosen(routes(), "<x@three.example>", "three.example", 4), "otherwise");
    }

    #[test]
    fn a_refusal_is_for_good_where_its_code_says_so() {
        let failure = |code| Transport::from(TransportKind::refusal(code, "Not by mail")).carrier().unwrap_err();
        for (code, status, permanence) in [
            (554, "5.7.1", Permanence::Permanent),
            (550, "5.7.1", Permanence::Permanent),
            (451, "4.7.1", Permanence::Temporary),
        ] {
            let failure = failure(code);
            assert_eq!((failure.status.to_string().as_str(), failure.permanence), (status, permanence));
            assert_eq!(failure.reply.unwrap().to_string(), format!("{code} {status} Not by mail"));
        }
    }
}
