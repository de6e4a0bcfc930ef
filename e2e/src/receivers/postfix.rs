//! Postfix in the lab, with a configuration and a queue of its own. As the receiver of mail: one instance, which listens
//! on many addresses and is another server on each, with a certificate and a view of TLS of its own; all that it takes
//! is kept for the test to read. And as a sender with DANE, whose word on the receivers is taken.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

use super::receiver::Receiver;
use crate::{bounded, run, run_with_input};

/// What every instance has in `main.cf`; the folder goes in at `~`.
const MAIN: &str = "compatibility_level = 3.6\nqueue_directory = ~/spool\ndata_directory = ~/data\n\
    mail_owner = postfix\nsetgid_group = postdrop\nmydestination =\nlocal_recipient_maps =\nalias_maps =\ninet_protocols = all\n\
    maillog_file_prefixes = ~\nmaillog_file = ~/log\n";

/// What every instance has in `master.cf`.
const MASTER: &str = "pickup unix n - n 1 1 pickup\ncleanup unix n - n - 0 cleanup\nqmgr unix n - n 1 1 qmgr\n\
    rewrite unix - - n - - trivial-rewrite\nbounce unix - - n - 0 bounce\ndefer unix - - n - 0 bounce\n\
    trace unix - - n - 0 bounce\nsmtp unix - - n - - smtp\nvirtual unix - n n - - virtual\n\
    error unix - - n - - error\nretry unix - - n - - error\nscache unix - - n - 1 scache\n\
    tlsmgr unix - - n 1000? 1 tlsmgr\nanvil unix - - n - 1 anvil\npostlog unix-dgram n - n - 1 postlogd\n";

/// A running instance. It starts only as root, and works as its own user.
#[derive(Debug)]
pub struct Postfix {
    folder: TempDir,
}

impl Postfix {
    /// An instance that has not started yet.
    fn new(prefix: &str) -> Self {
        // Postfix refuses a queue below a folder that others cannot enter.
        let postfix = Self { folder: tempfile::Builder::new().prefix(prefix).tempdir().expect("a folder") };
        for name in ["", "etc", "spool", "data", "mail"] {
            fs::create_dir_all(postfix.part(name)).expect("a folder");
            run(Command::new("chmod").arg("755").arg(postfix.part(name))).success();
        }
        run(Command::new("chown").arg("postfix").arg(postfix.part("data")).arg(postfix.part("mail"))).success();
        postfix
    }

    fn part(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn start(self, main: &str, master: &str) -> Self {
        let folder = self.folder.path().display().to_string();
        fs::write(self.part("etc/main.cf"), format!("{MAIN}{main}").replace('~', &folder)).expect("main.cf");
        fs::write(self.part("etc/master.cf"), format!("{MASTER}{master}").replace('~', &folder)).expect("master.cf");
        // It returns when the master process listens everywhere.
        run(&mut self.command("postfix", &["start"])).success();
        self
    }

    /// Starts those of the receivers that Postfix can be.
    #[track_caller]
    pub fn receive(receivers: &[Receiver]) -> Self {
        let postfix = Self::new("receivers");
        let id = |option: &str| run(Command::new("id").args([option, "postfix"])).success().out.trim().to_owned();
        let main = format!(
            "myhostname = receivers.test\ninet_interfaces = all\nsmtpd_peername_lookup = no\n\
             smtpd_relay_restrictions = reject_unauth_destination\nsmtpd_client_connection_rate_limit = 0\n\
             smtpd_tls_received_header = yes\nsmtpd_tls_loglevel = 1\ntransport_maps = static:virtual\n\
             virtual_mailbox_domains = static:all\nvirtual_mailbox_base = ~/mail\nvirtual_mailbox_maps = static:kept/\n\
             virtual_uid_maps = static:{}\nvirtual_gid_maps = static:{}\nvirtual_minimum_uid = 1\n",
            id("-u"),
            id("-g"),
        );
        let mut master = String::new();
        for receiver in receivers {
            let Some(options) = receiver.offer.postfix() else { continue };
            let name = &receiver.name;
            fs::write(postfix.part("etc").join(name), receiver.identity.pem()).expect("a chain of certificates");
            for address in &receiver.addresses {
                let place = if address.is_ipv4() { address.to_string() } else { format!("[{address}]") };
                let own = format!("-o myhostname={name} -o smtpd_tls_chain_files=~/etc/{name} {options}");
                let _ = writeln!(master, "{place}:25 inet n - n - - smtpd {own}");
            }
        }
        postfix.start(&main, &master)
    }

    /// Starts a sender that does DANE where it can, and trusts one authority.
    #[track_caller]
    pub fn send_with_dane(authority: &Path) -> Self {
        let main = format!(
            "myhostname = sender.test\ninet_interfaces =\nsmtp_dns_support_level = dnssec\nsmtp_host_lookup = dns\n\
             smtp_tls_security_level = dane\nsmtp_tls_loglevel = 1\nsmtp_tls_CAfile = {}\n",
            authority.display(),
        );
        Self::new("sender").start(&main, "")
    }

    /// Starts one that takes mail at a port of loopback, and gives all of it to a server at another, without TLS.
    #[track_caller]
    pub fn relay(port: u16, next_hop: u16) -> Self {
        let main = format!(
            "myhostname = relay.test\ninet_interfaces = loopback-only\nsmtp_dns_support_level = disabled\n\
             smtp_host_lookup = native\nsmtp_tls_security_level = none\nrelayhost = [127.0.0.1]:{next_hop}\n\
             smtpd_peername_lookup = no\nsmtpd_relay_restrictions = permit_mynetworks, reject\n"
        );
        Self::new("relay").start(&main, &format!("127.0.0.1:{port} inet n - n - - smtpd\n"))
    }

    /// How many messages wait for another attempt.
    pub fn deferred(&self) -> usize {
        let folders = fs::read_dir(self.part("spool/deferred")).into_iter().flatten().flatten();
        folders.map(|folder| fs::read_dir(folder.path()).into_iter().flatten().count()).sum()
    }

    /// Tries whatever waits, now.
    #[track_caller]
    pub fn try_all(&self) {
        run(&mut self.command("postqueue", &["-f"])).success();
    }

    fn command(&self, program: &str, arguments: &[&str]) -> Command {
        let mut command = Command::new(program);
        command.arg("-c").arg(self.part("etc")).args(arguments);
        command
    }

    /// Sends a message to all of these, and waits for what becomes of it: a line of the log for each.
    #[track_caller]
    pub fn send(&self, recipients: &[String]) -> Vec<String> {
        let before = self.log().lines().count();
        let mut sendmail = Command::new("/usr/sbin/sendmail");
        sendmail.arg("-C").arg(self.part("etc")).args(["-f", "postfix@sender.test"]).args(recipients);
        run_with_input(&mut sendmail, "Subject: a message from Postfix\n\nHello.\n").success();
        bounded("every recipient to have a status", || {
            let log = self.log();
            let of = |to: &String| log.lines().skip(before).find(|line| line.contains(&format!("to=<{to}>, ")));
            recipients.iter().map(|to| of(to).map(str::to_owned)).collect()
        })
    }

    /// Tries at once whatever waits, and again until all of these have it: what the DNS has said is known for a while.
    #[track_caller]
    pub fn flush(&self, recipients: &[String]) {
        let before = self.log().lines().count();
        bounded("every recipient to have it", || {
            self.try_all();
            let log = self.log();
            let sent = |to: &String| {
                let of = format!("to=<{to}>, ");
                log.lines().skip(before).any(|line| line.contains(&of) && line.contains("status=sent"))
            };
            recipients.iter().all(sent).then_some(())
        });
    }

    /// What it has told so far.
    pub fn log(&self) -> String {
        fs::read_to_string(self.part("log")).unwrap_or_default()
    }

    /// What was taken so far: messages as they were stored, in no order.
    pub fn messages(&self) -> Vec<String> {
        // The first message makes the folder.
        let Ok(entries) = fs::read_dir(self.part("mail/kept/new")) else { return Vec::new() };
        let files: Vec<PathBuf> = entries.map(|entry| entry.expect("a file").path()).collect();
        files.iter().map(|file| String::from_utf8_lossy(&fs::read(file).expect("a message")).into_owned()).collect()
    }
}

impl Drop for Postfix {
    #[expect(clippy::print_stderr, reason = "a failed test shows what happened")]
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("{}", self.log());
        }
        let _ = self.command("postfix", &["stop"]).output();
    }
}
