//! Our resolver as the library that it is: asked by tasks of the same process.

use std::fs;
use std::net::SocketAddr;
use std::sync::Arc;

use clap::ValueEnum;
use mailstead_dns::Resolver as _;
use mailstead_dnssec::Anchors;
use mailstead_net::AddressPolicy;
use mailstead_net::resolver::{DnsMode, DnsOptions, DnsResolver, ResolvConf, Servers, TrustAnchors, root_servers};
use mailstead_runtime::{Supervisor, SystemClock, SystemRandom};
use tokio::runtime::Runtime;
use tokio::task::JoinSet;

use crate::Outcome;
use crate::client::{Extent, Pass, Turns};
use crate::zones::Question;

/// Memory for what is found: enough for all of it.
const CACHE_OCTETS: u64 = 512 << 20;

/// By which way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Mode {
    /// From the root.
    Recurse,
    /// Through another resolver.
    Validate,
}

/// What the resolver needs to know of the lab.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Place {
    /// By which way
    #[arg(long)]
    pub(crate) mode: Mode,
    /// The resolver to ask
    #[arg(long)]
    pub(crate) server: Option<SocketAddr>,
    /// The servers of the root
    #[arg(long)]
    pub(crate) root_hints: std::path::PathBuf,
    /// The trust anchor
    #[arg(long)]
    pub(crate) trust_anchor: std::path::PathBuf,
}

impl Place {
    /// A resolver that knows nothing yet.
    pub(crate) fn resolver(&self) -> Outcome<DnsResolver> {
        let options = DnsOptions {
            mode: match self.mode {
                Mode::Recurse => DnsMode::Recurse,
                Mode::Validate => DnsMode::Validate,
            },
            servers: Servers::Fixed(ResolvConf::with_servers(self.server.into_iter().collect())),
            anchors: TrustAnchors::Fixed(Anchors::parse(&fs::read_to_string(&self.trust_anchor)?)?),
            root_servers: root_servers(&fs::read_to_string(&self.root_hints)?)?,
            server_addresses: AddressPolicy::Any,
            cache_octets: CACHE_OCTETS,
            ..DnsOptions::default()
        };
        Ok(DnsResolver::new(options, Arc::new(SystemClock), Arc::new(SystemRandom), Supervisor::new())?)
    }
}

/// Asks by so many tasks at the same time. Every answer must be secure.
pub(crate) fn ask(
    runtime: &Runtime,
    resolver: &DnsResolver,
    questions: &Arc<[Question]>,
    askers: usize,
    extent: Extent,
) -> Outcome<Pass> {
    let turns = Arc::new(Turns::new(extent));
    let lookups = runtime.block_on(async {
        let mut all = JoinSet::new();
        for _ in 0..askers {
            all.spawn(asker(resolver.clone(), Arc::clone(questions), Arc::clone(&turns)));
        }
        let mut lookups = 0;
        while let Some(ended) = all.join_next().await {
            lookups += ended.map_err(|error| error.to_string())??;
        }
        Ok::<_, String>(lookups)
    })?;
    Ok(turns.pass(lookups))
}

async fn asker(resolver: DnsResolver, questions: Arc<[Question]>, turns: Arc<Turns>) -> Result<usize, String> {
    let mut lookups = 0;
    while let Some(Question { name, record_type }) = turns.next(&questions) {
        let answer = resolver.lookup(name, *record_type).await.map_err(|error| error.to_string())?;
        if !answer.is_secure() || answer.records.is_empty() {
            return Err(format!("{record_type} {name}: {answer:?}"));
        }
        lookups += 1;
    }
    Ok(lookups)
}
