//! `mailstead dns`: look-ups and chains of trust, as the server itself would see them.

mod batch;
mod report;
mod trace;

use std::fs;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use mailstead_config::{ConfigWatch, Dns, DnsMode as Configured, PrivateServers};
use mailstead_dns::{RecordType, Resolver, reverse_name};
use mailstead_dnssec::Anchors;
use mailstead_names::Domain;
use mailstead_net::AddressPolicy;
use mailstead_net::resolver::{DnsMode, DnsOptions, DnsResolver, ResolvConf, Servers, TrustAnchors, root_servers};
use mailstead_runtime::{Supervisor, SystemClock, SystemRandom};

use crate::cli::{CONFIG_FILE, DnsCommand, DnsLookup, DnsQuestion, DnsSource, DnsTrace, print};
use crate::failure::Failure;
use report::Report;
pub(crate) use report::{error_kind, status, with_dnssec};

/// File of the data directory that keeps the root's trust anchors up to date.
const ANCHOR_FILE: &str = "dns-trust-anchors";
/// File of the system that names the DNS servers.
const RESOLV_CONF: &str = "/etc/resolv.conf";

/// `mailstead dns`.
pub(crate) async fn run(command: DnsCommand) -> Result<(), Failure> {
    match command {
        DnsCommand::Lookup(DnsLookup { question: Some(question), source, json, .. }) => {
            let asked = question.parse()?;
            let resolver = open(&source)?;
            say_notice(&resolver).await;
            let mut failed = 0;
            for (name, record_type) in &asked {
                let report = look_up(&resolver, name, *record_type).await;
                failed += usize::from(report.outcome.is_err());
                print(&if json { report.json().to_string() } else { report.text() })?;
            }
            if failed > 0 { Err(Failure::new("there is no answer that could be trusted")) } else { Ok(()) }
        }
        DnsCommand::Lookup(DnsLookup { batch, source, json, .. }) => {
            let questions = batch::read(batch.as_deref().unwrap_or(Path::new("-")))?;
            let resolver = open(&source)?;
            say_notice(&resolver).await;
            batch::run(&resolver, questions, json).await
        }
        DnsCommand::Trace(DnsTrace { question, source, json }) => {
            let asked = question.parse()?;
            let resolver = open(&source)?;
            say_notice(&resolver).await;
            for (name, record_type) in asked {
                let start = Instant::now();
                let trace = resolver.trace(&name, record_type).await;
                let took = start.elapsed();
                print(&if json {
                    trace::json(&name, record_type, &trace, took).to_string()
                } else {
                    trace::text(&name, record_type, &trace, took)
                })?;
            }
            Ok(())
        }
    }
}

async fn look_up(resolver: &DnsResolver, name: &Domain, record_type: RecordType) -> Report {
    let start = Instant::now();
    let outcome = resolver.lookup(name, record_type).await;
    let took = start.elapsed();
    let active = resolver.way().await.ok().map(|(active, _)| active);
    Report { name: name.clone(), record_type, outcome, active, took }
}

/// Tells on standard error when names are resolved in another way than usual, so that output for programs stays clean.
pub(crate) async fn say_notice(resolver: &DnsResolver) {
    if let Ok((_, Some(notice))) = resolver.way().await {
        Failure::new(notice.to_string()).report();
    }
}

impl DnsQuestion {
    /// The names and types meant; more than one for `ips`.
    fn parse(&self) -> Result<Vec<(Domain, RecordType)>, Failure> {
        parse(&self.record_type, &self.name)
    }
}

/// A type and a name as people write them: `ips` for both kinds of addresses, an IP address for PTR, a trailing dot.
fn parse(record_type: &str, name: &str) -> Result<Vec<(Domain, RecordType)>, Failure> {
    let types = if record_type.eq_ignore_ascii_case("ips") {
        vec![RecordType::Aaaa, RecordType::A]
    } else {
        let unknown = || {
            let all: Vec<_> = RecordType::all().map(|known| known.to_string().to_lowercase()).collect();
            Failure::new(format!("`{record_type}` is no type of record; use ips or one of {}", all.join(", ")))
        };
        vec![RecordType::parse(record_type).ok_or_else(unknown)?]
    };
    let domain = match name.parse::<IpAddr>() {
        Ok(address) if types == [RecordType::Ptr] => reverse_name(address),
        _ => {
            let text = name.strip_suffix('.').unwrap_or(name);
            Domain::parse_lenient(text).map_err(|error| Failure::new(format!("`{name}` is no domain name: {error}")))?
        }
    };
    Ok(types.into_iter().map(|record_type| (domain.clone(), record_type)).collect())
}

/// The resolver that a command asks: that of the configuration, changed by what the command line says.
pub(crate) fn open(source: &DnsSource) -> Result<DnsResolver, Failure> {
    let mut dns = match &source.config {
        Some(file) => ConfigWatch::load(file)?.current().dns.clone(),
        None if Path::new(CONFIG_FILE).exists() => ConfigWatch::load(Path::new(CONFIG_FILE))?.current().dns.clone(),
        None => Dns::default(),
    };
    if let Some(mode) = source.mode {
        dns.mode = mode;
    }
    if !source.servers.is_empty() {
        dns.servers.clone_from(&source.servers);
    }
    dns.root_hints = source.root_hints.clone().or(dns.root_hints);
    dns.trust_anchors = source.trust_anchors.clone().or(dns.trust_anchors);
    if source.private_servers {
        dns.private_servers = PrivateServers::Allowed;
    }
    // Commands leave the server's file of trust anchors alone: it belongs to whoever runs it.
    resolver(&dns, None, Supervisor::new())
}

/// A resolver after the configuration. With a data directory it keeps the root's trust anchors up to date there.
pub(crate) fn resolver(
    dns: &Dns,
    data_directory: Option<&Path>,
    supervisor: Supervisor,
) -> Result<DnsResolver, Failure> {
    let mode = match dns.mode {
        Configured::Automatic => DnsMode::Automatic,
        Configured::Validate => DnsMode::Validate,
        Configured::Recurse => DnsMode::Recurse,
        Configured::TrustAd => DnsMode::TrustAd,
        Configured::Unvalidated => DnsMode::Unvalidated,
    };
    let servers = if dns.servers.is_empty() {
        Servers::ResolvConf(RESOLV_CONF.into())
    } else {
        Servers::Fixed(ResolvConf::with_servers(dns.servers.clone()))
    };
    let anchors = match (&dns.trust_anchors, data_directory) {
        (Some(file), _) => TrustAnchors::Fixed(load(file, Anchors::parse)?),
        (None, Some(directory)) => TrustAnchors::Updated(directory.join(ANCHOR_FILE)),
        (None, None) => TrustAnchors::BuiltIn,
    };
    let root_servers = match &dns.root_hints {
        Some(file) => load(file, root_servers)?,
        None => Vec::new(),
    };
    let options = DnsOptions {
        mode,
        servers,
        anchors,
        root_servers,
        server_addresses: match dns.private_servers {
            PrivateServers::Refused => AddressPolicy::Public,
            PrivateServers::Allowed => AddressPolicy::Any,
        },
        cache_octets: dns.cache_size,
        ..DnsOptions::default()
    };
    Ok(DnsResolver::new(options, Arc::new(SystemClock), Arc::new(SystemRandom), supervisor)?)
}

fn load<T, E: std::fmt::Display>(file: &PathBuf, read: impl Fn(&str) -> Result<T, E>) -> Result<T, Failure> {
    let failed = |reason: String| Failure::new(format!("{}: {reason}", file.display()));
    let text = fs::read_to_string(file).map_err(|error| failed(format!("cannot read it: {error}")))?;
    read(&text).map_err(|error| failed(error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn questions_as_people_write_them() {
        let asked = |record_type, name| {
            let parsed = parse(record_type, name).unwrap_or_default();
            parsed.iter().map(|(name, record_type)| format!("{record_type} {name}")).collect::<Vec<_>>()
        };
        assert_eq!(asked("mx", "Example.org."), ["MX example.org"]);
        assert_eq!(asked("ips", "bücher.example"), ["AAAA xn--bcher-kva.example", "A xn--bcher-kva.example"]);
        assert_eq!(asked("PTR", "192.0.2.1"), ["PTR 1.2.0.192.in-addr.arpa"]);
        assert_eq!(asked("tlsa", "_25._tcp.mx.example"), ["TLSA _25._tcp.mx.example"]);
        assert_eq!(asked("a", "192.0.2.1"), Vec::<String>::new());
        assert!(parse("axfr", "example.org").unwrap_err().to_string().contains("use ips or one of a, ns"));
    }
}
