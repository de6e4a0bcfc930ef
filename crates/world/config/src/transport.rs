//! How mail leaves: relays and other transports (`[transports.NAME]`), and the routes (`[[route]]`) that choose one of
//! them. What they mean for a message, the queue says.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use mailstead_names::{Domain, DomainPattern, Secret};

use crate::directory::{AccountName, Directory};
use crate::reader::{Complaint, Placed, Section, closest};
use crate::schema::{HostPort, no_account};
use crate::value;

/// Routes with the transports that they name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Routing {
    /// By name.
    pub transports: BTreeMap<String, Transport>,
    /// In order: the first that matches decides.
    pub routes: Vec<Route>,
}

/// Some of the mail, and the way that it goes. What is empty does not matter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Route {
    /// Accounts that submitted it.
    pub accounts: Vec<AccountName>,
    /// Domains of senders.
    pub from: Vec<DomainPattern>,
    /// Domains of recipients.
    pub to: Vec<DomainPattern>,
    /// How many attempts must have been made before.
    pub minimum_attempts: u32,
    /// The name of a transport that exists.
    pub transport: String,
}

/// A way that mail goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Transport {
    /// To a server that takes it from there.
    Relay(NextHop),
    /// To the servers of each domain, at their addresses of these families.
    Direct(AddressFamily),
    /// The same, through a proxy.
    Socks(Socks),
    /// Not at all.
    Fail(Fail),
}

/// A server that takes mail for others.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NextHop {
    /// Where it is.
    pub place: HostPort,
    /// TLS towards it.
    pub security: HopSecurity,
    /// User name and password there.
    pub login: Option<Login>,
    /// Certificates to trust instead of the system's.
    pub ca_file: Option<PathBuf>,
}

/// TLS towards a next hop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HopSecurity {
    /// STARTTLS where it is offered, whoever answers.
    Opportunistic,
    /// STARTTLS with a certificate that is verified.
    StartTls,
    /// TLS from the first octet, with a certificate that is verified.
    Implicit,
    /// No TLS.
    Plaintext,
}

/// User name and password at another server.
#[derive(Debug, Clone)]
pub struct Login {
    /// User name.
    pub username: String,
    /// Password.
    pub password: Secret<String>,
}

/// Compares two configurations of the operator, and not what somebody shows: how long it takes does not matter.
impl PartialEq for Login {
    fn eq(&self, other: &Login) -> bool {
        self.username == other.username && self.password.expose() == other.password.expose()
    }
}

impl Eq for Login {}

/// Which addresses are connected to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum AddressFamily {
    /// All.
    #[default]
    Any,
    /// IPv4 only.
    Ipv4,
    /// IPv6 only.
    Ipv6,
}

/// A SOCKS 5 proxy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Socks {
    /// Where it is.
    pub proxy: HostPort,
    /// User name and password there, of 1 to 255 octets each (RFC 1929).
    pub login: Option<Login>,
    /// Our name in EHLO, if not the usual one.
    pub hostname: Option<Domain>,
    /// Which addresses it is asked to connect to.
    pub family: AddressFamily,
}

/// What is told of mail that must not leave.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fail {
    /// A code of SMTP, 4yz for now or 5yz for good (RFC 5321 §4.2.1).
    pub code: u16,
    /// In words.
    pub text: String,
}

#[derive(Debug, Clone, Copy)]
enum Kind {
    Relay,
    Direct,
    Socks,
    Fail,
}

const KINDS: [(&str, Kind); 4] =
    [("relay", Kind::Relay), ("direct", Kind::Direct), ("socks", Kind::Socks), ("fail", Kind::Fail)];

const SECURITIES: [(&str, HopSecurity); 4] = [
    ("opportunistic", HopSecurity::Opportunistic),
    ("starttls", HopSecurity::StartTls),
    ("tls", HopSecurity::Implicit),
    ("plaintext", HopSecurity::Plaintext),
];

const FAMILIES: [(&str, AddressFamily); 3] =
    [("any", AddressFamily::Any), ("ipv4", AddressFamily::Ipv4), ("ipv6", AddressFamily::Ipv6)];

/// For good (RFC 5321 §4.2.2), as nothing else is said.
const USUAL_CODE: u16 = 554;
const USUAL_TEXT: &str = "This server does not send such mail";

pub(crate) fn read(top: &mut Section<'_>, directory: &Directory, base: &Path) -> Routing {
    let mut transports = BTreeMap::new();
    let mut names = Vec::new();
    for (name, section) in top.entries("transports") {
        if let Some(transport) = read_transport(section, base) {
            transports.insert(name.value.clone(), transport);
        }
        // One with mistakes has been complained about.
        names.push(name.value);
    }
    let routes =
        top.sections("route").into_iter().filter_map(|section| read_route(section, &names, directory)).collect();
    Routing { transports, routes }
}

fn read_transport(mut section: Section<'_>, base: &Path) -> Option<Transport> {
    // Which keys there may be is not known without it.
    let kind = section.required("kind", "\"relay\"", |value| value::one_of(value, &KINDS))?;
    let transport = match kind.value {
        Kind::Relay => {
            let place = section.required("next-hop", "\"smtp.example.net:587\"", value::host_port);
            read_hop(&mut section, place.map(|place| place.value), base).map(Transport::Relay)
        }
        Kind::Direct => Some(Transport::Direct(read_family(&mut section))),
        Kind::Socks => read_socks(&mut section).map(Transport::Socks),
        Kind::Fail => {
            let code = section.optional("code", value::failure_code).unwrap_or(USUAL_CODE);
            let text = section.optional("text", value::line).unwrap_or_else(|| USUAL_TEXT.to_owned());
            Some(Transport::Fail(Fail { code, text }))
        }
    };
    section.finish();
    transport
}

/// The keys of a relay beside its place.
pub(crate) fn read_hop(section: &mut Section<'_>, place: Option<HostPort>, base: &Path) -> Option<NextHop> {
    let security = section.optional("security", |value| value::one_of(value, &SECURITIES));
    let security = security.unwrap_or(HopSecurity::Opportunistic);
    let login = read_login(section);
    let ca_file = section.optional("ca-file", value::path).map(|file| base.join(file));
    if let Some(login) = &login
        && matches!(security, HopSecurity::Opportunistic | HopSecurity::Plaintext)
    {
        let advice = "add security = \"starttls\" or security = \"tls\"";
        section
            .complain(&login.span, Complaint::new("a password is not sent to a server that is not verified", advice));
    }
    let login = login.and_then(|login| login.value);
    Some(NextHop { place: place?, security, login, ca_file })
}

/// User name and password, at the place of the name; `None` inside where something is wrong with them.
fn read_login(section: &mut Section<'_>) -> Option<Placed<Option<Login>>> {
    let username = section.placed("username", value::text);
    let password = section.placed("password", value::secret);
    let has_password = section.has("password");
    match (username, password) {
        (Some(Placed { value: username, span }), Some(password)) => {
            Some(Placed { value: Some(Login { username, password: password.value }), span })
        }
        (Some(Placed { span, .. }), None) => {
            if !has_password {
                let advice = "add password = \"…\"";
                section.complain(&span, Complaint::new("`username` needs a `password`", advice));
            }
            Some(Placed { value: None, span })
        }
        (None, Some(password)) if !section.has("username") => {
            let advice = "add username = \"…\"";
            section.complain(&password.span, Complaint::new("`password` needs a `username`", advice));
            None
        }
        (None, _) => None,
    }
}

fn read_socks(section: &mut Section<'_>) -> Option<Socks> {
    let proxy = section.required("proxy", "\"127.0.0.1:1080\"", value::host_port);
    let login = read_login(section);
    let fits = |text: &str| (1..=255).contains(&text.len());
    if let Some(Placed { value: Some(login), span }) = &login
        && !(fits(&login.username) && fits(login.password.expose()))
    {
        let message = "user name and password for a proxy have 1 to 255 octets each";
        section.complain(span, Complaint::new(message, "remove both if the proxy wants none"));
    }
    let hostname = section.optional("hostname", value::domain);
    let family = read_family(section);
    Some(Socks { proxy: proxy?.value, login: login.and_then(|login| login.value), hostname, family })
}

fn read_family(section: &mut Section<'_>) -> AddressFamily {
    section.optional("address-family", |value| value::one_of(value, &FAMILIES)).unwrap_or_default()
}

fn read_route(mut section: Section<'_>, names: &[String], directory: &Directory) -> Option<Route> {
    let transport = section.required("transport", "\"NAME\"", value::text);
    let mut accounts = Vec::new();
    for Placed { value: account, span } in section.nonempty_list("accounts", value::account) {
        if let Some(complaint) = no_account(&account, directory) {
            section.complain(&span, complaint);
        }
        accounts.push(account);
    }
    let mut patterns = |key| -> Vec<DomainPattern> {
        section.nonempty_list(key, value::domain_pattern).into_iter().map(|placed| placed.value).collect()
    };
    let (from, to) = (patterns("from"), patterns("to"));
    let minimum_attempts = section.optional("minimum-attempts", value::count).unwrap_or(0);
    if let Some(Placed { value: name, span }) = &transport
        && !names.contains(name)
    {
        let advice = match closest(name, names.iter().map(String::as_str)) {
            Some(similar) => format!("did you mean `{similar}`?"),
            None => format!("add a table [transports.{}] with a `kind`", toml_edit::Key::new(name).display_repr()),
        };
        section.complain(span, Complaint::new(format!("there is no transport `{name}`"), advice));
    }
    section.finish();
    Some(Route { accounts, from, to, minimum_attempts, transport: transport?.value })
}
