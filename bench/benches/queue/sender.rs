//! The two servers whose queues are emptied.

use std::path::Path;
use std::time::{Duration, Instant};

use mailstead_e2e::{Configured, free_port, peak_memory, receivers};

use crate::Outcome;

/// Who sends it all.
pub(crate) const ADDRESS: &str = "sender@bench.example";
/// The longest that all mail may take to be tried for the first time.
const PATIENCE: Duration = Duration::from_secs(300);

/// A server with a queue, whose mail all goes to one port of loopback.
pub(crate) trait Sender: Sync {
    /// Where it takes mail.
    fn port(&self) -> u16;
    /// What it wants to hear first.
    fn login(&self) -> Option<&str>;
    /// How many messages wait for another attempt.
    fn deferred(&self) -> Outcome<usize>;
    /// Tries all at once.
    fn try_all(&self) -> Outcome<()>;

    /// Waits until so many messages have been tried in vain.
    fn await_all_deferred(&self, messages: usize) -> Outcome<()> {
        let begun = Instant::now();
        loop {
            let deferred = self.deferred()?;
            if deferred == messages {
                return Ok(());
            }
            if begun.elapsed() > PATIENCE {
                return Err(format!("{deferred} of {messages} messages wait after {PATIENCE:?}").into());
            }
            std::thread::sleep(Duration::from_millis(500));
        }
    }
}

pub(crate) struct Postfix {
    postfix: receivers::Postfix,
    port: u16,
}

impl Postfix {
    pub(crate) fn start(next_hop: u16) -> Self {
        let port = free_port();
        Self { postfix: receivers::Postfix::relay(port, next_hop), port }
    }
}

impl Sender for Postfix {
    fn port(&self) -> u16 {
        self.port
    }

    fn login(&self) -> Option<&str> {
        None
    }

    fn deferred(&self) -> Outcome<usize> {
        Ok(self.postfix.deferred())
    }

    fn try_all(&self) -> Outcome<()> {
        self.postfix.try_all();
        Ok(())
    }
}

pub(crate) struct Mailstead {
    server: Configured,
    port: u16,
    login: String,
}

impl Mailstead {
    pub(crate) fn start(binary: &Path, next_hop: u16) -> Outcome<Self> {
        let binary = std::fs::canonicalize(binary)
            .map_err(|error| format!("{}: {error} (cargo xtask bench builds it)", binary.display()))?;
        let port = free_port();
        let server = Configured::start(&binary, tempfile::tempdir()?, &configuration(port, next_hop), "sender");
        Ok(Self { server, port, login: Configured::auth_plain("sender") })
    }

    /// Forgets how much memory it has used so far.
    fn reset_peak(&self) -> Outcome<()> {
        // proc_pid_clear_refs(5): 5 resets the peak of the resident set.
        Ok(std::fs::write(format!("/proc/{}/clear_refs", self.server.pid()), "5")?)
    }

    /// The most memory that it has used at one time since then.
    pub(crate) fn peak_megabytes(&self) -> u64 {
        peak_memory(self.server.pid()).unwrap_or(0) >> 20
    }
}

impl Sender for Mailstead {
    fn port(&self) -> u16 {
        self.port
    }

    fn login(&self) -> Option<&str> {
        Some(&self.login)
    }

    fn deferred(&self) -> Outcome<usize> {
        Ok(self.server.command(&["queue", "list", "--json", "--next", ">10s"]).success().out.lines().count())
    }

    fn try_all(&self) -> Outcome<()> {
        self.reset_peak()?;
        self.server.command(&["queue", "schedule", "--all", "--now"]).success();
        Ok(())
    }
}

fn configuration(port: u16, next_hop: u16) -> String {
    format!(
        "hostname = \"mail.bench.example\"\npostmaster = \"sender\"\n\n\
         [limits]\nexempt-networks = [\"127.0.0.0/8\"]\nsubmissions-per-day = 10000000\n\n\
         [queue]\nnext-hop = \"127.0.0.1:{next_hop}\"\nsecurity = \"plaintext\"\n\n\
         [[listener]]\naddresses = [\"127.0.0.1\"]\nplaintext-login = true\nsubmission = {port}\n\n\
         [domains.\"bench.example\"]\n\n[accounts.sender]\naddresses = [\"{ADDRESS}\"]\n"
    )
}
