//! rspamd with SPF, DKIM and DMARC alone, in a folder of its own, asked through a socket in it.

use std::io::{Read, Write};
use std::net::SocketAddr;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;

use crate::Results;
use crate::cases::{Case, HELO};

/// Where Debian keeps rspamd's own programs.
const SHARE: &str = "/usr/share/rspamd";
/// The longest that it may take to start.
const PATIENCE: Duration = Duration::from_secs(60);

#[derive(Debug)]
pub(super) struct Daemon {
    child: Child,
    folder: TempDir,
}

impl Daemon {
    pub(super) fn start(dns: SocketAddr) -> Daemon {
        let folder = TempDir::new().expect("a temporary directory");
        let path = folder.path().display();
        std::fs::write(folder.path().join("suffixes"), "example\n").expect("write the public suffixes");
        // No caches: each case stands for itself. `max_dns_requests` is RFC 7208 §4.6.4's.
        let text = format!(
            r#"lua = "{SHARE}/rules/rspamd.lua";
options {{
  pidfile = "{path}/pid"; tempdir = "{path}"; history_file = "{path}/history"; url_tld = "{path}/suffixes";
  filters = "dkim"; disable_hyperscan = true; disable_monitoring = true; local_addrs = []; check_all_filters = true;
  dns {{ nameserver = ["{dns}"]; timeout = 1s; retransmits = 2; }}
}}
logging {{ type = "file"; filename = "{path}/log"; level = "warning"; }}
worker "normal" {{ bind_socket = "{path}/socket mode=0666"; count = 1; task_timeout = 20s; }}
modules {{ path = "{SHARE}/plugins/spf.lua"; path = "{SHARE}/plugins/dmarc.lua"; }}
spf {{ max_dns_nesting = 10; max_dns_requests = 10; spf_cache_size = 0; }}
dkim {{ time_jitter = 0; trusted_only = false; skip_multi = false; dkim_cache_size = 0; }}
dmarc {{ }}
metric "default" {{ actions {{ reject = 1500; }} }}
"#
        );
        let config = folder.path().join("rspamd.conf");
        std::fs::write(&config, text).expect("write the configuration");
        // `-i`: it may run as root.
        let mut rspamd = Command::new("rspamd");
        rspamd.args(["-f", "-i", "-c"]).arg(config).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let daemon = Daemon { child: rspamd.spawn().expect("rspamd is installed"), folder };
        let start = Instant::now();
        while UnixStream::connect(daemon.socket()).is_err() {
            assert!(start.elapsed() < PATIENCE, "rspamd did not start: {}", daemon.log());
            std::thread::sleep(Duration::from_millis(20));
        }
        daemon
    }

    fn socket(&self) -> PathBuf {
        self.folder.path().join("socket")
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }

    /// What rspamd says of a case.
    pub(super) fn check(&self, case: &Case) -> Results {
        let mut stream = UnixStream::connect(self.socket()).expect("rspamd listens");
        let (ip, from, length) = (case.ip, &case.mail_from, case.message.len());
        let head = format!(
            "POST /checkv2 HTTP/1.0\r\nIP: {ip}\r\nHelo: {HELO}\r\nFrom: {from}\r\nRcpt: rcpt@here.example\r\n\
             Content-Length: {length}\r\n\r\n"
        );
        stream.write_all(head.as_bytes()).expect("rspamd reads");
        stream.write_all(&case.message).expect("rspamd reads");
        let mut response = Vec::new();
        stream.read_to_end(&mut response).expect("rspamd answers");
        let response = String::from_utf8_lossy(&response);
        let (_, body) = response.split_once("\r\n\r\n").unwrap_or_else(|| panic!("{}: {response}", case.name));
        let json: Value = serde_json::from_str(body).unwrap_or_else(|error| panic!("{error}: {body}"));
        results(&json["symbols"])
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = Command::new("kill").arg(self.child.id().to_string()).status();
        let _ = self.child.wait();
    }
}

/// The results that its symbols stand for.
fn results(symbols: &Value) -> Results {
    let has = |symbol: &str| symbol.is_empty() || symbols.get(symbol).is_some();
    let first = |table: &[(&str, &str)]| {
        table.iter().find(|(symbol, _)| has(symbol)).map_or("nothing", |(_, result)| result).to_owned()
    };
    Results {
        spf: first(&[
            ("R_SPF_ALLOW", "pass"),
            ("R_SPF_FAIL", "fail"),
            ("R_SPF_SOFTFAIL", "softfail"),
            ("R_SPF_NEUTRAL", "neutral"),
            ("R_SPF_DNSFAIL", "temperror"),
            ("R_SPF_PERMFAIL", "permerror"),
            ("R_SPF_NA", "none"),
        ]),
        dkim: first(&[
            ("R_DKIM_ALLOW", "pass"),
            ("R_DKIM_REJECT", "fail"),
            ("R_DKIM_TEMPFAIL", "temperror"),
            ("R_DKIM_PERMFAIL", "permerror"),
            ("R_DKIM_NA", "none"),
            // A signature that it cannot read has no symbol; RFC 8601 §2.7.1 calls that neutral.
            ("", "neutral"),
        ]),
        dmarc: first(&[
            ("DMARC_POLICY_ALLOW", "pass"),
            ("DMARC_POLICY_ALLOW_WITH_FAILURES", "pass"),
            ("DMARC_POLICY_REJECT", "fail reject"),
            ("DMARC_POLICY_QUARANTINE", "fail quarantine"),
            ("DMARC_POLICY_SOFTFAIL", "fail none"),
            ("DMARC_BAD_POLICY", "permerror"),
            ("DMARC_DNSFAIL", "temperror"),
            ("DMARC_NA", "none"),
        ]),
    }
}
