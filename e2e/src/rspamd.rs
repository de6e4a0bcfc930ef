//! rspamd with SPF, DKIM and DMARC alone: beside us in what it finds, and in how fast it finds it.

use std::io::{self, Read, Write};
use std::net::{IpAddr, SocketAddr};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;

/// Where Debian keeps rspamd's own programs.
const SHARE: &str = "/usr/share/rspamd";
/// The longest that it may take to start.
const PATIENCE: Duration = Duration::from_secs(60);

/// Whether it keeps the records and keys that it has read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cache {
    /// As many as it does by itself.
    Kept,
    /// None, so that each message stands for itself.
    Off,
}

/// A message as rspamd is asked about it.
#[derive(Debug, Clone, Copy)]
pub struct Asked<'a> {
    /// The client.
    pub ip: IpAddr,
    /// What it calls itself.
    pub helo: &'a str,
    /// MAIL FROM, without angle brackets.
    pub mail_from: &'a str,
    /// The message.
    pub message: &'a [u8],
}

/// A running rspamd with one worker, in a folder of its own, asked through a socket in it.
#[derive(Debug)]
pub struct Rspamd {
    child: Child,
    folder: TempDir,
}

impl Rspamd {
    /// Starts it. `dns` answers its questions; everything directly below `suffix` is an organization.
    #[track_caller]
    pub fn start(dns: SocketAddr, suffix: &str, cache: Cache) -> Rspamd {
        let folder = TempDir::new().expect("a temporary directory");
        let path = folder.path().display();
        std::fs::write(folder.path().join("suffixes"), format!("{suffix}\n")).expect("write the public suffixes");
        let size = |of: &str| match cache {
            Cache::Kept => String::new(),
            Cache::Off => format!("{of}_cache_size = 0;"),
        };
        let (spf_cache, dkim_cache) = (size("spf"), size("dkim"));
        // `max_dns_requests` is RFC 7208 §4.6.4's.
        let text = format!(
            r#"lua = "{SHARE}/rules/rspamd.lua";
options {{
  pidfile = "{path}/pid"; tempdir = "{path}"; history_file = "{path}/history"; url_tld = "{path}/suffixes";
  filters = "dkim"; disable_hyperscan = true; disable_monitoring = true; local_addrs = []; check_all_filters = true;
  dns {{ nameserver = ["{dns}"]; timeout = 1s; retransmits = 2; }}
}}
logging {{ type = "file"; filename = "{path}/log"; level = "error"; }}
worker "normal" {{ bind_socket = "{path}/socket mode=0666"; count = 1; task_timeout = 20s; }}
modules {{ path = "{SHARE}/plugins/spf.lua"; path = "{SHARE}/plugins/dmarc.lua"; }}
spf {{ max_dns_nesting = 10; max_dns_requests = 10; {spf_cache} }}
dkim {{ time_jitter = 0; trusted_only = false; skip_multi = false; {dkim_cache} }}
dmarc {{ }}
metric "default" {{ actions {{ reject = 1500; }} }}
"#
        );
        let config = folder.path().join("rspamd.conf");
        std::fs::write(&config, text).expect("write the configuration");
        // `-i`: it may run as root.
        let mut rspamd = Command::new("rspamd");
        rspamd.args(["-f", "-i", "-c"]).arg(config).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let rspamd = Rspamd { child: rspamd.spawn().expect("rspamd is installed"), folder };
        let start = Instant::now();
        while UnixStream::connect(rspamd.socket()).is_err() {
            let log = || std::fs::read_to_string(rspamd.folder.path().join("log")).unwrap_or_default();
            assert!(start.elapsed() < PATIENCE, "rspamd did not start: {}", log());
            std::thread::sleep(Duration::from_millis(20));
        }
        rspamd
    }

    fn socket(&self) -> PathBuf {
        self.folder.path().join("socket")
    }

    /// The processes that it consists of: the one that was started, and its workers.
    pub fn processes(&self) -> Vec<u32> {
        let id = self.child.id();
        let children = std::fs::read_to_string(format!("/proc/{id}/task/{id}/children")).unwrap_or_default();
        let children = children.split_whitespace().filter_map(|child| child.parse().ok());
        std::iter::once(id).chain(children).collect()
    }

    /// The symbols that it gives a message.
    ///
    /// # Errors
    /// When it gives no answer that can be read.
    pub fn symbols(&self, asked: Asked<'_>) -> io::Result<Value> {
        let Asked { ip, helo, mail_from, message } = asked;
        let mut stream = UnixStream::connect(self.socket())?;
        let head = format!(
            "POST /checkv2 HTTP/1.0\r\nIP: {ip}\r\nHelo: {helo}\r\nFrom: {mail_from}\r\nRcpt: rcpt@here.example\r\n\
             Content-Length: {}\r\n\r\n",
            message.len()
        );
        stream.write_all(head.as_bytes())?;
        stream.write_all(message)?;
        let mut response = Vec::new();
        stream.read_to_end(&mut response)?;
        let body = response.windows(4).position(|end| end == b"\r\n\r\n").map(|end| &response[end + 4..]);
        let json: Value = serde_json::from_slice(body.unwrap_or_default())?;
        Ok(json["symbols"].clone())
    }
}

impl Drop for Rspamd {
    fn drop(&mut self) {
        // Its workers end with it only where it is asked to end.
        let _ = Command::new("kill").arg(self.child.id().to_string()).status();
        let _ = self.child.wait();
    }
}
