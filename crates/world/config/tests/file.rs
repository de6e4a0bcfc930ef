//! The file as a whole: what a full configuration means, reload, and edits that keep what they do not touch.

use std::fs;
use std::path::Path;

use mailstead_config::{
    AccountName, AddressFamily, ClientCertificates, Config, ConfigWatch, Database, DnsMode, Error, Fail, HopSecurity,
    LogFormat, LogLevel, Login, MissingAddress, Network, PlaintextLogin, PrivateServers, Role, Route, Routing,
    Strictness, Transport, edit,
};
use mailstead_names::{Address, Domain, DomainPattern};

const FULL: &str = r#"# Mail for example.org
hostname = "mail.example.org"
data-directory = "data"   # beside this file
postmaster = "jane"

[database]
engine = "postgres"
url = "postgresql://mail:hunter2@db.example.org/mail"

[log]
level = "traceauth"
format = "json"

[tls]
certificate = "/etc/ssl/mail.pem"
key = "mail.key"

[[listener]]
addresses = ["127.0.0.1", "::1"]
smtp = 25
imaps = 993
skip-missing-addresses = true

[[listener]]
addresses = "192.0.2.1"
submission = 587
plaintext-login = true
client-certificates = false

[limits]
open-connections = [1, 2, 3]
all-open-connections = 500
exempt-networks = ["127.0.0.0/8", "::1"]
message-size = "25 MiB"
submissions-per-day = 50

[queue]
next-hop = "[::1]:1025"
security = "starttls"
username = "jane"
password = "hunter3"
ca-file = "hop.pem"
extra-ca-file = "/etc/ssl/ours.pem"
nat-addresses = ["203.0.113.7"]
dane-with-insecure-mx = true
concurrency = 5
destination-concurrency = 3
host-concurrency = 2
tls-reports = false

[transports.newsletters]
kind = "relay"
next-hop = "smtp.example.net:465"
security = "tls"
username = "news"
password = "hunter4"
ca-file = "net.pem"

[transports.inside]
kind = "relay"
next-hop = "[fd00::25]:25"
security = "plaintext"

[transports.old-internet]
kind = "direct"
address-family = "ipv4"

[transports.exit]
kind = "socks"
proxy = "proxy.example.org:1080"
username = "us"
password = "hunter5"
hostname = "exit.example.org"
address-family = "ipv6"

[transports.nowhere]
kind = "fail"

[transports."not today"]
kind = "fail"
code = 451
text = "Not on Sundays"

[[route]]
transport = "newsletters"
from = ".news.example.org"

[[route]]
transport = "exit"
to = ["bücher.example", ".example.com"]
minimum-attempts = 3

[[route]]
transport = "not today"
accounts = "jane"

[dns]
mode = "validate"
servers = ["192.0.2.53", "[2001:db8::53]:5353"]
trust-anchors = "anchors.zone"
root-hints = "/etc/named.root"
private-servers = true
cache-size = "4 MiB"

[domains."example.org"]   # ours since 1997
subaddress-separators = "+"

[accounts.jane]
# her first address is the one shown
addresses = ["jane@example.org"]
quota = "2 GB"
login-disabled = "Please call us."
"#;

fn config(source: &str) -> Config {
    Config::parse(source, Path::new("/etc/mailstead/mailstead.toml")).unwrap_or_else(|problems| panic!("{problems}"))
}

#[test]
fn all_keys_have_their_meaning() {
    let config = config(FULL);
    assert_eq!(config.hostname.as_ascii(), "mail.example.org");
    assert_eq!(config.data_directory, Path::new("/etc/mailstead/data"));
    assert!(matches!(&config.database, Database::Postgres { url } if url.expose().ends_with("/mail")));
    assert!(!format!("{config:?}").contains("hunter"));
    assert_eq!((config.log.level, config.log.format), (LogLevel::TraceAuth, LogFormat::Json));
    let tls = config.tls.unwrap();
    assert_eq!(tls.certificate, Path::new("/etc/ssl/mail.pem"));
    assert_eq!(tls.key, Path::new("/etc/mailstead/mail.key"));
    let [first, second] = &config.listeners[..] else { panic!("two listeners") };
    assert_eq!(first.services, [(Role::Smtp, 25), (Role::Imaps, 993)]);
    assert_eq!((first.plaintext_login, first.missing_address), (PlaintextLogin::Refused, MissingAddress::Skip));
    assert_eq!((second.plaintext_login, second.missing_address), (PlaintextLogin::Allowed, MissingAddress::Fail));
    let asked = [first, second].map(|listener| listener.client_certificates);
    assert_eq!(asked, [ClientCertificates::Requested, ClientCertificates::NotRequested]);
    assert_eq!(config.limits.open_connections, [1, 2, 3]);
    assert_eq!(config.limits.all_open_connections, 500);
    assert_eq!(config.limits.connections_per_minute, [300, 900, 2700]);
    assert_eq!(config.limits.message_size, 25 << 20);
    assert_eq!(config.limits.submissions_per_day, 50);
    assert_eq!(config.limits.exempt_networks[1], Network { address: "::1".parse().unwrap(), prefix: 128 });
    let queue = &config.queue;
    assert_eq!(queue.extra_ca_file.as_deref(), Some(Path::new("/etc/ssl/ours.pem")));
    assert_eq!(queue.nat_addresses, ["203.0.113.7".parse::<std::net::IpAddr>().unwrap()]);
    assert_eq!((queue.dane_with_insecure_mx, queue.concurrency), (true, 5));
    assert_eq!((queue.destination_concurrency, queue.host_concurrency), (3, 2));
    assert!(!queue.tls_reports);
    let hop = config.queue.next_hop.unwrap();
    assert_eq!((hop.place.to_string().as_str(), hop.security), ("[::1]:1025", HopSecurity::StartTls));
    assert_eq!(hop.ca_file.as_deref(), Some(Path::new("/etc/mailstead/hop.pem")));
    assert!(hop.login.is_some_and(|login| login.username == "jane" && login.password.expose() == "hunter3"));
    routes_have_their_meaning(&config.routing);
    let dns = config.dns;
    assert_eq!((dns.mode, dns.private_servers, dns.cache_size), (DnsMode::Validate, PrivateServers::Allowed, 4 << 20));
    assert_eq!(dns.servers, ["192.0.2.53:53".parse().unwrap(), "[2001:db8::53]:5353".parse().unwrap()]);
    assert_eq!(dns.trust_anchors.as_deref(), Some(Path::new("/etc/mailstead/anchors.zone")));
    assert_eq!(dns.root_hints.as_deref(), Some(Path::new("/etc/named.root")));
    assert_eq!(config.strictness, Strictness::Lenient);
    assert!(config.sandbox.is_none());
    assert_eq!(config.directory.account("jane").unwrap().quota, Some(2_000_000_000));
}

fn routes_have_their_meaning(routing: &Routing) {
    let transport = |name: &str| routing.transports.get(name).unwrap();
    let login = |login: &Option<Login>| login.as_ref().map(|l| format!("{} {}", l.username, l.password.expose()));
    let Transport::Relay(hop) = transport("newsletters") else { panic!("a relay") };
    assert_eq!((hop.place.to_string().as_str(), hop.security), ("smtp.example.net:465", HopSecurity::Implicit));
    assert_eq!(login(&hop.login).as_deref(), Some("news hunter4"));
    assert_eq!(hop.ca_file.as_deref(), Some(Path::new("/etc/mailstead/net.pem")));
    let Transport::Relay(hop) = transport("inside") else { panic!("a relay") };
    assert_eq!((hop.place.to_string().as_str(), hop.security), ("[fd00::25]:25", HopSecurity::Plaintext));
    assert_eq!(transport("old-internet"), &Transport::Direct(AddressFamily::Ipv4));
    let Transport::Socks(socks) = transport("exit") else { panic!("a proxy") };
    assert_eq!((socks.proxy.to_string().as_str(), socks.family), ("proxy.example.org:1080", AddressFamily::Ipv6));
    assert_eq!(socks.hostname.as_ref().map(Domain::as_ascii), Some("exit.example.org"));
    assert_eq!(login(&socks.login).as_deref(), Some("us hunter5"));
    let fail = |code, text: &str| Transport::Fail(Fail { code, text: text.to_owned() });
    assert_eq!(transport("nowhere"), &fail(554, "This server does not send such mail"));
    assert_eq!(transport("not today"), &fail(451, "Not on Sundays"));
    let texts = |patterns: &[DomainPattern]| patterns.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ");
    let route = |route: &Route| (texts(&route.from), texts(&route.to), route.minimum_attempts, route.transport.clone());
    let expected = [
        (".news.example.org", "", 0, "newsletters"),
        ("", "xn--bcher-kva.example .example.com", 3, "exit"),
        ("", "", 0, "not today"),
    ];
    let expected =
        expected.map(|(from, to, attempts, name)| (from.to_owned(), to.to_owned(), attempts, name.to_owned()));
    assert_eq!(routing.routes.iter().map(route).collect::<Vec<_>>(), expected);
    let accounts = |route: &Route| route.accounts.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ");
    assert_eq!(routing.routes.iter().map(accounts).collect::<Vec<_>>(), ["", "", "jane"]);
}

#[test]
fn edits_keep_comments_and_order() {
    let joe = AccountName::parse("joe").unwrap();
    let addresses = ["joe@example.org", "joe@bücher.example"].map(|text| Address::parse(text).unwrap());
    let added = edit::add_account(FULL, &joe, &addresses).unwrap();
    let more = edit::add_address(&added, &joe, &Address::parse("j@example.org").unwrap()).unwrap();
    insta::assert_snapshot!(diff(FULL, &more));
    assert_eq!(config(&more).directory.account("joe").unwrap().addresses.len(), 3);
    assert!(matches!(edit::add_account(&added, &joe, &addresses), Err(Error::Edit(_))));
    let removed = edit::remove_account(&added, &joe).unwrap();
    assert!(config(&removed).directory.account("joe").is_none());
    assert!(removed.contains("# ours since 1997"));
    assert!(matches!(edit::remove_account(&removed, &joe), Err(Error::Edit(_))));
}

/// Lines that are only in the second text; the first must be contained in it in order.
fn diff(old: &str, new: &str) -> String {
    let mut kept = old.lines().peekable();
    let added: Vec<_> = new.lines().filter(|line| kept.next_if_eq(line).is_none()).collect();
    assert_eq!(kept.next(), None, "a line was lost");
    added.join("\n")
}

#[test]
fn a_reload_swaps_the_directory_and_names_what_waits() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("mailstead.toml");
    fs::write(&file, FULL).unwrap();
    let watch = ConfigWatch::load(&file).unwrap();
    let mut seen = watch.directory();
    seen.mark_unchanged();
    let joe = AccountName::parse("joe").unwrap();
    let source = edit::add_account(FULL, &joe, &[Address::parse("joe@example.org").unwrap()]).unwrap();
    let key = "\n[[domains.\"example.org\".dkim]]\nselector = \"a\"\nkey = \"a.pem\"\n";
    let source_with_changes = source
        .replace("smtp = 25", "smtp = 26")
        .replace("hunter3", "hunter9")
        .replace("hunter5", "hunter9")
        .replace("minimum-attempts = 3", "minimum-attempts = 4");
    edit::write(&file, &(source_with_changes + key)).unwrap();
    assert_eq!(watch.reload().unwrap().needs_restart, ["listener", "queue", "transports", "route"]);
    assert!(seen.has_changed().unwrap());
    let keys: Vec<usize> = seen.borrow().domains().map(|(_, rules)| rules.dkim.len()).collect();
    assert_eq!(keys.iter().sum::<usize>(), 1, "keys change at once");
    assert!(seen.borrow().account("joe").is_some());

    // With a mistake nothing changes, neither the file nor what is in force.
    let broken = source.replace("hostname", "hostnam");
    assert!(matches!(edit::write(&file, &broken), Err(Error::Invalid(_))));
    fs::write(&file, broken).unwrap();
    assert!(matches!(watch.reload(), Err(Error::Invalid(_))));
    assert!(watch.current().directory.account("joe").is_some());
    fs::remove_file(&file).unwrap();
    assert!(matches!(watch.reload(), Err(Error::Read { .. })));
}
