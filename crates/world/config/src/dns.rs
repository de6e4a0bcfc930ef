//! How names are resolved: the table `[dns]`.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use crate::reader::{Complaint, Section};
use crate::value;

/// How names are resolved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dns {
    /// By which way.
    pub mode: DnsMode,
    /// Resolvers to ask instead of those of resolv.conf; none: those.
    pub servers: Vec<SocketAddr>,
    /// Trust anchors instead of the root's own, as DS or DNSKEY records in a zone file.
    pub trust_anchors: Option<PathBuf>,
    /// Servers of the root instead of those that are built in, as a zone file.
    pub root_hints: Option<PathBuf>,
    /// Whether authorities with private addresses are asked, as a private root needs it.
    pub private_servers: PrivateServers,
    /// Memory for what has been found, in octets.
    pub cache_size: u64,
}

/// By which way names are resolved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DnsMode {
    /// Through the machine's resolver where it lets DNSSEC through, else from the root; validated here.
    Automatic,
    /// Through the machine's resolver; validated here.
    Validate,
    /// From the root; validated here.
    Recurse,
    /// Through a resolver on this machine that validates.
    TrustAd,
    /// Through the machine's resolver; nothing is validated.
    Unvalidated,
}

/// Whether authorities with private addresses are asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PrivateServers {
    /// They are not: whoever writes zones could make us talk to the inner network.
    Refused,
    /// They are.
    Allowed,
}

impl DnsMode {
    /// All modes by their names.
    pub const ALL: [(&'static str, DnsMode); 5] = [
        ("automatic", DnsMode::Automatic),
        ("validate", DnsMode::Validate),
        ("recurse", DnsMode::Recurse),
        ("trust-ad", DnsMode::TrustAd),
        ("unvalidated", DnsMode::Unvalidated),
    ];
}

/// Less is of no use, as a single message may have 64 KiB.
const LEAST_CACHE: u64 = 1 << 20;

impl Default for Dns {
    fn default() -> Self {
        Dns {
            mode: DnsMode::Automatic,
            servers: Vec::new(),
            trust_anchors: None,
            root_hints: None,
            private_servers: PrivateServers::Refused,
            cache_size: 16 << 20,
        }
    }
}

pub(crate) fn read(mut section: Section<'_>, base: &Path) -> Dns {
    let usual = Dns::default();
    let mode = section.optional("mode", |value| value::one_of(value, &DnsMode::ALL)).unwrap_or(usual.mode);
    let servers = section.list("servers", value::dns_server);
    if let (Some(first), DnsMode::Recurse) = (servers.first(), mode) {
        let advice = "remove `servers`, or choose the mode \"validate\"";
        section.complain(&first.span, Complaint::new("no resolver is asked in the mode \"recurse\"", advice));
    }
    let file = |path: PathBuf| base.join(path);
    let cache_size = section.placed("cache-size", value::size);
    if let Some(size) = cache_size.as_ref().filter(|size| size.value < LEAST_CACHE) {
        section.complain(&size.span, Complaint::new("the cache is too small", "use at least \"1 MiB\""));
    }
    let dns = Dns {
        mode,
        servers: servers.into_iter().map(|placed| placed.value).collect(),
        trust_anchors: section.optional("trust-anchors", value::path).map(file),
        root_hints: section.optional("root-hints", value::path).map(file),
        private_servers: match section.optional("private-servers", value::flag) {
            Some(true) => PrivateServers::Allowed,
            _ => usual.private_servers,
        },
        cache_size: cache_size.map_or(usual.cache_size, |size| size.value),
    };
    section.finish();
    dns
}
