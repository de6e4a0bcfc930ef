//! The configuration file: its keys, their meaning, and what must hold between them.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use mailstead_names::{Address, Domain, Host, Secret};

use crate::directory::LocalpartCase;
use crate::dns::{self, Dns};
use crate::reader::{Complaint, Placed, Reader, Section, closest};
use crate::rules;
use crate::transport::{self, NextHop, Routing};
use crate::value::{self, Network};
use crate::{AccountEntry, AccountName, Diagnostics, Directory, DomainRules, LoginState};

/// A configuration in which everything fits together.
#[derive(Debug, Clone)]
pub struct Config {
    /// Our name in greetings, EHLO, Received and reports.
    pub hostname: Domain,
    /// Where everything is kept. Relative paths in the file start from the file's directory.
    pub data_directory: PathBuf,
    /// Which database.
    pub database: Database,
    /// What is logged, and how.
    pub log: Log,
    /// Where services listen.
    pub listeners: Vec<Listener>,
    /// Certificate and key of all listeners.
    pub tls: Option<TlsFiles>,
    /// Limits against abuse.
    pub limits: Limits,
    /// How mail leaves.
    pub queue: Queue,
    /// Which mail goes another way.
    pub routing: Routing,
    /// How names are resolved.
    pub dns: Dns,
    /// Whether deviations from the protocols that real software shows are errors.
    pub strictness: Strictness,
    /// For trying things out: nothing leaves the machine.
    pub sandbox: Option<Sandbox>,
    /// Domains, accounts and addresses.
    pub directory: Arc<Directory>,
}

/// Where rows are kept.
#[derive(Debug, Clone)]
pub enum Database {
    /// Files in the data directory.
    Sqlite,
    /// A server.
    Postgres {
        /// Connection URL with credentials.
        url: Secret<String>,
    },
}

/// What is logged, and how.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Log {
    /// Least severity.
    pub level: LogLevel,
    /// Form of the lines.
    pub format: LogFormat,
}

/// Least severity of what is logged. Each includes those before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum LogLevel {
    /// What somebody must look at.
    Error,
    /// What is odd.
    Warn,
    /// What happened to messages and logins.
    Info,
    /// How it happened.
    Debug,
    /// Protocol transcripts without credentials and message data.
    Trace,
    /// Transcripts with credentials.
    TraceAuth,
    /// Transcripts with credentials and message data.
    TraceData,
}

/// Form of log lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// `key=value` pairs.
    Logfmt,
    /// One JSON object a line.
    Json,
}

/// A service of a listener.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Role {
    /// Mail from other servers, STARTTLS.
    Smtp,
    /// Mail from our users, STARTTLS.
    Submission,
    /// Mail from our users, implicit TLS.
    Submissions,
    /// Mail access, STARTTLS.
    Imap,
    /// Mail access, implicit TLS.
    Imaps,
    /// Status page.
    Http,
    /// Status page, implicit TLS.
    Https,
    /// Prometheus metrics.
    Metrics,
}

impl Role {
    /// All roles with the keys that give them a port.
    pub const ALL: [(&'static str, Role); 8] = [
        ("smtp", Role::Smtp),
        ("submission", Role::Submission),
        ("submissions", Role::Submissions),
        ("imap", Role::Imap),
        ("imaps", Role::Imaps),
        ("http", Role::Http),
        ("https", Role::Https),
        ("metrics", Role::Metrics),
    ];

    /// Its key in the configuration.
    #[must_use]
    pub fn name(self) -> &'static str {
        Self::ALL.iter().find(|(_, role)| *role == self).map_or("", |(name, _)| name)
    }

    /// Whether TLS begins with the connection.
    #[must_use]
    pub fn is_implicit_tls(self) -> bool {
        matches!(self, Role::Submissions | Role::Imaps | Role::Https)
    }
}

/// Addresses with their services.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listener {
    /// Addresses to bind.
    pub addresses: Vec<IpAddr>,
    /// Services and their ports, on each of the addresses.
    pub services: Vec<(Role, u16)>,
    /// Whether passwords may be sent without TLS.
    pub plaintext_login: PlaintextLogin,
    /// Whether users' clients are asked for a certificate.
    pub client_certificates: ClientCertificates,
    /// What to do when the machine does not have one of the addresses.
    pub missing_address: MissingAddress,
}

/// Whether passwords may be sent without TLS.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PlaintextLogin {
    /// They may not.
    Refused,
    /// They may, for trying things out on loopback.
    Allowed,
}

/// Whether the clients of our users are asked for a certificate, on submission and IMAP. Nobody needs one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClientCertificates {
    /// They are asked.
    Requested,
    /// They are not: some programs ask their user which certificate to show whenever they are asked.
    NotRequested,
}

/// What to do when the machine does not have an address of a listener.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MissingAddress {
    /// Do not start.
    Fail,
    /// Do without, as long as one address is left.
    Skip,
}

/// PEM files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsFiles {
    /// Certificate chain, leaf first.
    pub certificate: PathBuf,
    /// Private key.
    pub key: PathBuf,
}

/// Limits against abuse, each for one host, its near and its wide network.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// New connections.
    pub connections_per_minute: [u32; 3],
    /// Connections at the same time.
    pub open_connections: [u32; 3],
    /// Connections at the same time from everywhere together.
    pub all_open_connections: u32,
    /// Failed authentications.
    pub auth_failures_per_minute: [u32; 3],
    /// Failed authentications.
    pub auth_failures_per_day: [u32; 3],
    /// Networks without these limits.
    pub exempt_networks: Vec<Network>,
    /// Largest message in octets.
    pub message_size: u64,
    /// Messages that an account may submit in 24 hours.
    pub submissions_per_day: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            connections_per_minute: [300, 900, 2700],
            open_connections: [30, 90, 270],
            all_open_connections: 2000,
            auth_failures_per_minute: [10, 30, 90],
            auth_failures_per_day: [50, 150, 450],
            exempt_networks: Vec::new(),
            message_size: 100 << 20,
            submissions_per_day: 1000,
        }
    }
}

/// How mail leaves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Queue {
    /// The server that takes all mail that no route matches. Without one, such mail goes to the servers of each domain.
    pub next_hop: Option<NextHop>,
    /// Certificates to trust beside the system's.
    pub extra_ca_file: Option<PathBuf>,
    /// Addresses that the world reaches this server at though it does not have them: a router's in front of it.
    pub nat_addresses: Vec<IpAddr>,
    /// Whether DANE is used for servers whose names DNSSEC does not prove.
    pub dane_with_insecure_mx: bool,
    /// Destinations served at the same time, and connections that serve them.
    pub concurrency: u32,
    /// Connections that serve one destination at the same time.
    pub destination_concurrency: u32,
    /// Connections to one address at the same time.
    pub host_concurrency: u32,
    /// Whether what connections show about TLS is recorded for reports to other operators.
    pub tls_reports: bool,
}

impl Default for Queue {
    fn default() -> Self {
        Queue {
            next_hop: None,
            extra_ca_file: None,
            nat_addresses: Vec::new(),
            dane_with_insecure_mx: false,
            concurrency: 40,
            destination_concurrency: 5,
            host_concurrency: 20,
            tls_reports: true,
        }
    }
}

/// A server to connect to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostPort {
    /// Name or address.
    pub host: Host,
    /// TCP port.
    pub port: u16,
}

impl std::fmt::Display for HostPort {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.host {
            Host::Domain(name) => write!(f, "{name}:{}", self.port),
            Host::Ip(address) => SocketAddr::new(*address, self.port).fmt(f),
        }
    }
}

/// Whether deviations that real software shows are errors.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Strictness {
    /// They are tolerated where that is safe.
    #[default]
    Lenient,
    /// They are errors, for people who test their own software.
    Pedantic,
}

/// For trying things out: all mail to anybody lands in one account, any sender is accepted, special local
/// parts provoke failures, and no connection leaves the machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sandbox {
    /// Where all mail lands.
    pub account: AccountName,
}

const LEVELS: [(&str, LogLevel); 7] = [
    ("error", LogLevel::Error),
    ("warn", LogLevel::Warn),
    ("info", LogLevel::Info),
    ("debug", LogLevel::Debug),
    ("trace", LogLevel::Trace),
    ("traceauth", LogLevel::TraceAuth),
    ("tracedata", LogLevel::TraceData),
];

impl LogLevel {
    /// The level of this name, for command lines.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        LEVELS.iter().find(|(name, _)| *name == text).map(|(_, level)| *level)
    }
}

impl Config {
    /// Reads and validates a whole configuration. `file` appears in messages, and relative paths start
    /// from its directory.
    pub fn parse(source: &str, file: &Path) -> Result<Config, Diagnostics> {
        let reader = Reader::new(source, file);
        let document = reader.document()?;
        let config = read(Section::top(&reader, &document), file.parent().unwrap_or(Path::new("")));
        reader.conclude(config)
    }
}

fn read(mut top: Section<'_>, base: &Path) -> Option<Config> {
    let hostname = top.required("hostname", "\"mail.example.org\"", value::domain);
    let data_directory = top.required("data-directory", "\"data\"", value::path);
    let strictness = match top.optional("pedantic", value::flag) {
        Some(true) => Strictness::Pedantic,
        _ => Strictness::Lenient,
    };
    let database = top.section("database").map_or(Some(Database::Sqlite), read_database);
    let log = read_log(top.section("log"));
    let tls = top.section("tls").map(|section| read_tls(section, base));
    let limits = top.section("limits").map_or_else(Limits::default, read_limits);
    let queue = top.section("queue").map_or_else(Queue::default, |section| read_queue(section, base));
    let dns = top.section("dns").map_or_else(Dns::default, |section| dns::read(section, base));
    let listeners = read_listeners(&mut top, tls.is_some());
    let (directory, sandbox) = read_directory(&mut top, hostname.as_ref().map(|hostname| &hostname.value), base);
    let routing = transport::read(&mut top, &directory, base);
    top.finish();
    Some(Config {
        hostname: hostname?.value,
        data_directory: base.join(data_directory?.value),
        database: database?,
        log,
        listeners,
        // A [tls] table with mistakes has been complained about.
        tls: tls.flatten(),
        limits,
        queue,
        routing,
        dns,
        strictness,
        sandbox,
        directory: Arc::new(directory),
    })
}

fn read_database(mut section: Section<'_>) -> Option<Database> {
    const ENGINES: [(&str, bool); 2] = [("sqlite", false), ("postgres", true)];
    let engine = section.required("engine", "\"sqlite\"", |value| value::one_of(value, &ENGINES));
    let url = section.placed("url", value::secret);
    let database = match (engine?.value, url) {
        (false, None) => Some(Database::Sqlite),
        (false, Some(url)) => {
            section
                .complain(&url.span, Complaint::new("SQLite has no `url`", "remove it, or set engine = \"postgres\""));
            None
        }
        (true, Some(url)) => Some(Database::Postgres { url: url.value }),
        (true, None) => {
            let advice = "add url = \"postgresql://user:password@host/database\"";
            section.complain(section.span(), Complaint::new("PostgreSQL needs a `url`", advice));
            None
        }
    };
    section.finish();
    database
}

fn read_log(section: Option<Section<'_>>) -> Log {
    const FORMATS: [(&str, LogFormat); 2] = [("logfmt", LogFormat::Logfmt), ("json", LogFormat::Json)];
    let mut log = Log { level: LogLevel::Info, format: LogFormat::Logfmt };
    if let Some(mut section) = section {
        log.level = section.optional("level", |value| value::one_of(value, &LEVELS)).unwrap_or(log.level);
        log.format = section.optional("format", |value| value::one_of(value, &FORMATS)).unwrap_or(log.format);
        section.finish();
    }
    log
}

fn read_tls(mut section: Section<'_>, base: &Path) -> Option<TlsFiles> {
    let certificate = section.required("certificate", "\"cert.pem\"", value::path);
    let key = section.required("key", "\"key.pem\"", value::path);
    section.finish();
    Some(TlsFiles { certificate: base.join(certificate?.value), key: base.join(key?.value) })
}

fn read_limits(mut section: Section<'_>) -> Limits {
    let usual = Limits::default();
    let mut classes = |key, usual| section.optional(key, value::per_class).unwrap_or(usual);
    let limits = Limits {
        connections_per_minute: classes("connections-per-minute", usual.connections_per_minute),
        open_connections: classes("open-connections", usual.open_connections),
        auth_failures_per_minute: classes("auth-failures-per-minute", usual.auth_failures_per_minute),
        auth_failures_per_day: classes("auth-failures-per-day", usual.auth_failures_per_day),
        all_open_connections: section
            .optional("all-open-connections", value::count)
            .unwrap_or(usual.all_open_connections),
        exempt_networks: values(section.list("exempt-networks", value::network)),
        message_size: section.optional("message-size", value::size).unwrap_or(usual.message_size),
        submissions_per_day: section.optional("submissions-per-day", value::count).unwrap_or(usual.submissions_per_day),
    };
    section.finish();
    limits
}

fn read_queue(mut section: Section<'_>, base: &Path) -> Queue {
    let place = section.optional("next-hop", value::host_port);
    let next_hop = transport::read_hop(&mut section, place, base);
    let usual = Queue::default();
    let queue = Queue {
        next_hop,
        extra_ca_file: section.optional("extra-ca-file", value::path).map(|file| base.join(file)),
        nat_addresses: values(section.list("nat-addresses", value::ip)),
        dane_with_insecure_mx: section.optional("dane-with-insecure-mx", value::flag).unwrap_or(false),
        concurrency: section.optional("concurrency", value::count).unwrap_or(usual.concurrency),
        destination_concurrency: section
            .optional("destination-concurrency", value::count)
            .unwrap_or(usual.destination_concurrency),
        host_concurrency: section.optional("host-concurrency", value::count).unwrap_or(usual.host_concurrency),
        tls_reports: section.optional("tls-reports", value::flag).unwrap_or(usual.tls_reports),
    };
    section.finish();
    queue
}

fn values<T>(list: Vec<Placed<T>>) -> Vec<T> {
    list.into_iter().map(|placed| placed.value).collect()
}

fn read_listeners(top: &mut Section<'_>, has_tls: bool) -> Vec<Listener> {
    let mut taken: HashMap<SocketAddr, &'static str> = HashMap::new();
    let sections = top.sections("listener");
    if sections.is_empty() {
        let advice = "add a [[listener]] with addresses and ports, such as smtp = 25";
        top.complain(top.span(), Complaint::new("there is no [[listener]]: nobody could connect", advice));
    }
    sections.into_iter().map(|section| read_listener(section, has_tls, &mut taken)).collect()
}

fn read_listener(mut section: Section<'_>, has_tls: bool, taken: &mut HashMap<SocketAddr, &'static str>) -> Listener {
    section.demand("addresses", "[\"0.0.0.0\", \"::\"]");
    let addresses = values(section.list("addresses", value::ip));
    let mut services = Vec::new();
    for (key, role) in Role::ALL {
        let Some(port) = section.placed(key, value::port) else { continue };
        if role.is_implicit_tls() && !has_tls {
            let advice = "add [tls] with certificate and key";
            section.complain(&port.span, Complaint::new(format!("`{key}` needs a certificate"), advice));
        }
        let mut claim = |address: &IpAddr| taken.insert(SocketAddr::new(*address, port.value), key);
        if let Some(other) = addresses.iter().filter_map(&mut claim).last() {
            let message = format!("port {} is used by `{other}` already", port.value);
            section.complain(&port.span, Complaint::new(message, "choose another port, or another address"));
        }
        services.push((role, port.value));
    }
    if !Role::ALL.iter().any(|(key, _)| section.has(key)) {
        let advice = "give at least one service a port, such as smtp = 25";
        section.complain(section.span(), Complaint::new("this listener has no service", advice));
    }
    let plaintext_login = match section.optional("plaintext-login", value::flag) {
        Some(true) => PlaintextLogin::Allowed,
        _ => PlaintextLogin::Refused,
    };
    let client_certificates = match section.optional("client-certificates", value::flag) {
        Some(false) => ClientCertificates::NotRequested,
        _ => ClientCertificates::Requested,
    };
    let missing_address = match section.optional("skip-missing-addresses", value::flag) {
        Some(true) => MissingAddress::Skip,
        _ => MissingAddress::Fail,
    };
    section.finish();
    Listener { addresses, services, plaintext_login, client_certificates, missing_address }
}

/// Everything about domains, accounts and addresses, with the references between them checked.
fn read_directory(top: &mut Section<'_>, hostname: Option<&Domain>, base: &Path) -> (Directory, Option<Sandbox>) {
    let mut directory = Directory { hostnames: hostname.cloned().into_iter().collect(), ..Directory::default() };
    let mut references: Vec<Placed<AccountName>> = Vec::new();
    directory.postmaster = top.placed("postmaster", value::account).map(|account| refer(&mut references, account));
    let sandbox = top.section("sandbox").and_then(|mut section| {
        let account = section.required("account", "\"you\"", value::account);
        section.finish();
        Some(Sandbox { account: refer(&mut references, account?) })
    });
    directory.sandbox = sandbox.as_ref().map(|sandbox| sandbox.account.clone());
    for (name, section) in top.entries("domains") {
        let rules = read_domain(section, &mut references, base);
        match value::parse_domain(&name.value) {
            Err(complaint) => top.complain(&name.span, complaint),
            Ok(domain) => {
                if directory.domains.insert(domain, rules).is_some() {
                    let message = format!("domain `{}` is here twice, in different spellings", name.value);
                    top.complain(&name.span, Complaint::new(message, "keep one of them"));
                }
            }
        }
    }
    for (name, section) in top.entries("accounts") {
        match value::parse_account(&name.value) {
            Err(complaint) => top.complain(&name.span, complaint),
            Ok(account) => {
                let entry = read_account(section, account.clone(), &mut directory);
                directory.accounts.insert(account, entry);
            }
        }
    }
    for Placed { value: account, span } in references {
        if let Some(complaint) = no_account(&account, &directory) {
            top.complain(&span, complaint);
        }
    }
    (directory, sandbox)
}

/// What is wrong with the name of an account that must exist.
pub(crate) fn no_account(account: &AccountName, directory: &Directory) -> Option<Complaint> {
    if directory.accounts.contains_key(account) {
        return None;
    }
    let advice = match closest(account.as_str(), directory.accounts.keys().map(AccountName::as_str)) {
        Some(similar) => format!("did you mean `{similar}`?"),
        None => format!("add a table [accounts.{account}]"),
    };
    Some(Complaint::new(format!("there is no account `{account}`"), advice))
}

/// Takes a note that this account must exist.
fn refer(references: &mut Vec<Placed<AccountName>>, account: Placed<AccountName>) -> AccountName {
    let name = account.value.clone();
    references.push(account);
    name
}

fn read_domain(mut section: Section<'_>, references: &mut Vec<Placed<AccountName>>, base: &Path) -> DomainRules {
    let catch_all = section.placed("catch-all", value::account).map(|account| refer(references, account));
    let mut separators = Vec::new();
    for separator in section.list("subaddress-separators", value::text) {
        if separator.value.is_empty() {
            section.complain(&separator.span, Complaint::new("a separator cannot be empty", "use one such as \"+\""));
        } else {
            separators.push(separator.value);
        }
    }
    let case = match section.optional("case-sensitive", value::flag) {
        Some(true) => LocalpartCase::Kept,
        _ => LocalpartCase::Folded,
    };
    let dkim = section.sections("dkim").into_iter().filter_map(|key| rules::read_dkim_key(key, base)).collect();
    section.finish();
    DomainRules { catch_all, separators, case, dkim }
}

fn read_account(mut section: Section<'_>, name: AccountName, directory: &mut Directory) -> AccountEntry {
    let mut addresses = Vec::new();
    for address in section.list("addresses", value::address) {
        match own_address(&name, &address.value, directory) {
            Ok(()) => addresses.push(address.value),
            Err(complaint) => section.complain(&address.span, complaint),
        }
    }
    let quota = section.optional("quota", value::size);
    let login = section.optional("login-disabled", value::text).map_or(LoginState::Enabled, LoginState::Disabled);
    let rules = section.sections("rules").into_iter().map(rules::read_rule).collect();
    section.finish();
    AccountEntry { name, addresses, quota, login, rules }
}

/// Enters an address into the directory for its account.
fn own_address(account: &AccountName, address: &Address, directory: &mut Directory) -> Result<(), Complaint> {
    let Some(domain) = address.domain() else { return Ok(()) };
    let Some(rules) = directory.domains.get(domain) else {
        let name = domain.unicode();
        let names: Vec<_> = directory.domains.keys().map(Domain::unicode).collect();
        let advice = match closest(name, names.into_iter()) {
            Some(similar) => format!("did you mean `{similar}`?"),
            None => format!("add a table [domains.\"{name}\"]"),
        };
        return Err(Complaint::new(format!("domain `{name}` is not one of ours"), advice));
    };
    let key = (domain.clone(), rules.canonical(address.localpart.as_str()));
    match directory.addresses.insert(key, account.clone()) {
        None => Ok(()),
        Some(other) => {
            let message = format!("`{}` belongs to account `{other}` already", address.unicode());
            Err(Complaint::new(message, "an address has one account: remove it from one of them"))
        }
    }
}
