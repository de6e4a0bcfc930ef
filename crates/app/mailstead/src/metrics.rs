//! The metrics of this process. Those of the engines are registered by the wiring.

use std::time::{Duration, Instant};

use mailstead_net::resolver::{DURATION_BOUNDS, DnsResolver, OUTCOMES};
use mailstead_runtime::Supervisor;
use mailstead_smtp_server::{Evaluation, EvaluationSink};
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeLabelSet, EncodeMetric as _, NoLabelSet};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::{ConstCounter, Counter};
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::{Registry, Unit};

/// A registry with what every program has.
pub(crate) fn registry(supervisor: Supervisor) -> Registry {
    let mut registry = Registry::with_prefix("mailstead");
    registry.register("build", "Version of the program", Info::new([("version", env!("CARGO_PKG_VERSION"))]));
    registry.register_collector(Box::new(Process { supervisor, start: Instant::now() }));
    registry
}

/// Read when somebody asks.
#[derive(Debug)]
struct Process {
    supervisor: Supervisor,
    start: Instant,
}

impl Collector for Process {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), std::fmt::Error> {
        let uptime = ConstGauge::new(self.start.elapsed().as_secs_f64());
        let unit = Some(&Unit::Seconds);
        uptime.encode(encoder.encode_descriptor("uptime", "Time since the start", unit, uptime.metric_type())?)?;
        let tasks = ConstGauge::new(i64::try_from(self.supervisor.running()).unwrap_or(i64::MAX));
        let help = "Connections and background loops that run now";
        tasks.encode(encoder.encode_descriptor("tasks", help, None, tasks.metric_type())?)?;
        let panics = ConstCounter::new(self.supervisor.panics());
        let help = "Tasks that ended by a programming error";
        panics.encode(encoder.encode_descriptor("panics", help, None, panics.metric_type())?)?;
        if let Some(resident) = resident_octets() {
            let resident = ConstGauge::new(resident);
            let unit = Some(&Unit::Bytes);
            resident.encode(encoder.encode_descriptor(
                "resident_memory",
                "Memory in use",
                unit,
                resident.metric_type(),
            )?)?;
        }
        Ok(())
    }
}

/// Counts of the resolver, read when somebody asks.
#[derive(Debug)]
pub(crate) struct Dns(pub(crate) DnsResolver);

impl Collector for Dns {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), std::fmt::Error> {
        let statistics = self.0.statistics();
        let mut counts = |name, help, label: &str, counts: &[(&str, u64)]| {
            let counter = ConstCounter::new(0_u64);
            let mut family = encoder.encode_descriptor(name, help, None, counter.metric_type())?;
            for (value, count) in counts {
                let labels = [(label, *value)];
                ConstCounter::new(*count).encode(family.encode_family(&labels)?)?;
            }
            Ok::<(), std::fmt::Error>(())
        };
        let outcomes: Vec<_> = OUTCOMES.into_iter().zip(statistics.outcomes).collect();
        counts("dns_lookups", "Look-ups by how they ended", "outcome", &outcomes)?;
        let steps = [("hit", statistics.cache_hits), ("miss", statistics.cache_misses)];
        counts("dns_cache_lookups", "Steps of answers sought in the cache", "result", &steps)?;
        let queries = [("udp", statistics.udp_queries), ("tcp", statistics.tcp_queries)];
        counts("dns_queries", "Questions to other servers", "transport", &queries)?;
        let faults = [("timeout", statistics.timeouts), ("mismatch", statistics.mismatched_replies)];
        counts(
            "dns_query_faults",
            "Questions without an answer in time, and replies to no question",
            "fault",
            &faults,
        )?;

        let bounds = DURATION_BOUNDS.map(|milliseconds| Duration::from_millis(milliseconds).as_secs_f64());
        let buckets: Vec<_> = bounds.into_iter().chain([f64::MAX]).zip(statistics.durations).collect();
        let help = "How long look-ups took";
        let unit = Some(&Unit::Seconds);
        let mut histogram = encoder.encode_descriptor("dns_lookup_duration", help, unit, MetricType::Histogram)?;
        let count = statistics.durations.iter().sum();
        histogram.encode_histogram::<NoLabelSet>(statistics.total.as_secs_f64(), count, &buckets, None)?;
        for (name, help, value) in [
            ("dns_cache_entries", "Entries of the cache", statistics.cache_entries),
            ("dns_cache_octets", "Memory that they take, roughly", statistics.cache_octets),
        ] {
            let gauge = ConstGauge::new(i64::try_from(value).unwrap_or(i64::MAX));
            gauge.encode(encoder.encode_descriptor(name, help, None, gauge.metric_type())?)?;
        }
        Ok(())
    }
}

/// DMARC evaluations, counted. Reports to the owners of domains will be made of them here.
#[derive(Debug)]
pub(crate) struct Evaluations(Family<EvaluationLabels, Counter>);

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct EvaluationLabels {
    result: &'static str,
    applied: &'static str,
}

impl Evaluations {
    pub(crate) fn register(registry: &mut Registry) -> Self {
        let family = Family::default();
        registry.register("dmarc_evaluations", "Messages by DMARC result and what was done", family.clone());
        Evaluations(family)
    }
}

impl EvaluationSink for Evaluations {
    fn evaluated(&self, evaluation: Evaluation<'_>) {
        let labels =
            EvaluationLabels { result: evaluation.dmarc.status.as_str(), applied: evaluation.applied.as_str() };
        self.0.get_or_create(&labels).inc();
    }
}

/// Resident memory by proc(5): the second number of `statm` counts pages.
fn resident_octets() -> Option<i64> {
    let statm = std::fs::read_to_string("/proc/self/statm").ok()?;
    let pages: i64 = statm.split_ascii_whitespace().nth(1)?.parse().ok()?;
    let page = nix::unistd::sysconf(nix::unistd::SysconfVar::PAGE_SIZE).ok()??;
    pages.checked_mul(page)
}
