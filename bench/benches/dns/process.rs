//! What a process has used, as the system counts it.

use std::fs;
use std::time::Duration;

use crate::Outcome;

/// The unit of times in /proc, everywhere on Linux (`USER_HZ`).
const TICKS_A_SECOND: u64 = 100;

/// A process, by its id.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Process(pub(crate) u32);

impl Process {
    /// This one.
    pub(crate) fn own() -> Process {
        Process(std::process::id())
    }

    /// Processor time of all its threads so far, in its own code and in the kernel's for it.
    pub(crate) fn cpu(self) -> Outcome<Duration> {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.0))?;
        // Behind the name, which may have spaces and is in brackets: the state is the third field of all, the times are
        // the fourteenth and fifteenth.
        let (_, fields) = stat.rsplit_once(')').ok_or("/proc/PID/stat has another form")?;
        let ticks: u64 = fields.split_whitespace().skip(11).take(2).filter_map(|field| field.parse::<u64>().ok()).sum();
        Ok(Duration::from_millis(ticks * 1000 / TICKS_A_SECOND))
    }

    /// Its resident memory in octets.
    pub(crate) fn resident(self) -> Outcome<u64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.0))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kilobytes = line.and_then(|line| line.trim().strip_suffix(" kB")?.parse::<u64>().ok());
        Ok(kilobytes.ok_or("/proc/PID/status tells no resident memory")? * 1024)
    }
}
