//! The metrics of this process. Those of the engines are registered by the wiring.

use std::time::Instant;

use mailstead_runtime::Supervisor;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric as _};
use prometheus_client::metrics::counter::ConstCounter;
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

/// Resident memory by proc(5): the second number of `statm` counts pages.
fn resident_octets() -> Option<i64> {
    let statm = std::fs::read_to_string("/proc/self/statm").ok()?;
    let pages: i64 = statm.split_ascii_whitespace().nth(1)?.parse().ok()?;
    let page = nix::unistd::sysconf(nix::unistd::SysconfVar::PAGE_SIZE).ok()??;
    pages.checked_mul(page)
}
