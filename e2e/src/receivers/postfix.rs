//! Postfix as the receiver of mail: one instance, which listens on many addresses and is another server on each, with
//! a certificate and a view of TLS of its own. All that it takes is kept for the test to read.

use std::fmt::Write as _;
use std::fs;
use std::net::IpAddr;
use std::path::PathBuf;
use std::process::Command;

use tempfile::TempDir;

use super::authority::Identity;
use crate::{bounded, run};

/// What a receiver makes of TLS.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Offer {
    /// STARTTLS, with TLS 1.2 and 1.3.
    StartTls,
    /// No STARTTLS: it has none, or somebody on the way removed it.
    Nothing,
}

/// One of the servers.
#[derive(Debug)]
pub struct Receiver {
    /// What it calls itself: in its greeting and in Received fields.
    pub name: String,
    /// Where it listens, on port 25.
    pub addresses: Vec<IpAddr>,
    /// What it makes of TLS.
    pub offer: Offer,
    /// What it shows of itself.
    pub identity: Identity,
}

/// The running instance. It starts only as root, and works as its own user.
#[derive(Debug)]
pub struct Postfix {
    folder: TempDir,
}

impl Postfix {
    /// Starts it, and waits until every receiver listens.
    #[track_caller]
    pub fn start(receivers: &[Receiver]) -> Self {
        // Postfix refuses a queue below a folder that others cannot enter.
        let folder = tempfile::Builder::new().prefix("receivers").tempdir().expect("a folder");
        let part = |name: &str| folder.path().join(name);
        for name in ["", "etc", "spool", "data", "mail"] {
            fs::create_dir_all(part(name)).expect("a folder");
            run(Command::new("chmod").arg("755").arg(part(name))).success();
        }
        run(Command::new("chown").arg("postfix").arg(part("data")).arg(part("mail"))).success();
        let owner = |option: &str| run(Command::new("id").args([option, "postfix"])).success().out.trim().to_owned();
        let main = format!(
            "compatibility_level = 3.6\nqueue_directory = {spool}\ndata_directory = {data}\nmail_owner = postfix\n\
             setgid_group = postdrop\nmyhostname = receivers.test\nmydestination =\ninet_interfaces = all\n\
             inet_protocols = all\nmaillog_file_prefixes = {top}\nmaillog_file = {top}/log\nalias_maps =\nsmtp_dns_support_level = disabled\n\
             smtpd_peername_lookup = no\nsmtpd_relay_restrictions = reject_unauth_destination\nsmtpd_client_connection_rate_limit = 0\n\
             smtpd_tls_received_header = yes\nsmtpd_tls_loglevel = 1\nsmtpd_tls_auth_only = yes\n\
             local_recipient_maps =\ntransport_maps = static:virtual\nvirtual_mailbox_base = {mail}\n\
             virtual_mailbox_maps = static:kept/\nvirtual_uid_maps = static:{uid}\nvirtual_gid_maps = static:{gid}\n\
             virtual_minimum_uid = 1\nvirtual_mailbox_domains = static:all\n",
            top = folder.path().display(),
            spool = part("spool").display(),
            data = part("data").display(),
            mail = part("mail").display(),
            uid = owner("-u"),
            gid = owner("-g"),
        );
        fs::write(part("etc/main.cf"), main).expect("main.cf");
        let mut master = String::from(
            "cleanup unix n - n - 0 cleanup\nqmgr unix n - n 1 1 qmgr\nrewrite unix - - n - - trivial-rewrite\n\
             bounce unix - - n - 0 bounce\ndefer unix - - n - 0 bounce\ntrace unix - - n - 0 bounce\n\
             virtual unix - n n - - virtual\nerror unix - - n - - error\nretry unix - - n - - error\n\
             tlsmgr unix - - n 1000? 1 tlsmgr\nanvil unix - - n - 1 anvil\n\
             postlog unix-dgram n - n - 1 postlogd\n",
        );
        for receiver in receivers {
            let file = part(&format!("etc/{}.pem", receiver.name));
            fs::write(&file, receiver.identity.pem()).expect("a chain of certificates");
            let tls = match receiver.offer {
                Offer::StartTls => "may",
                Offer::Nothing => "none",
            };
            for address in &receiver.addresses {
                let place = if address.is_ipv4() { address.to_string() } else { format!("[{address}]") };
                let _ = writeln!(
                    master,
                    "{place}:25 inet n - n - - smtpd -o myhostname={name} -o smtpd_tls_security_level={tls} \
                     -o smtpd_tls_chain_files={file}",
                    name = receiver.name,
                    file = file.display(),
                );
            }
        }
        fs::write(part("etc/master.cf"), master).expect("master.cf");
        let postfix = Self { folder };
        // It returns when the master process listens everywhere.
        run(&mut postfix.command("postfix", &["start"])).success();
        postfix
    }

    /// A program of Postfix, with this instance's configuration.
    pub fn command(&self, program: &str, arguments: &[&str]) -> Command {
        let mut command = Command::new(program);
        command.arg("-c").arg(self.folder.path().join("etc")).args(arguments);
        command
    }

    /// What was taken so far: messages as they were stored, in no order.
    pub fn messages(&self) -> Vec<String> {
        let folder = self.folder.path().join("mail/kept/new");
        // The first message makes the folder.
        let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
        let files: Vec<PathBuf> = entries.map(|entry| entry.expect("a file").path()).collect();
        files.iter().map(|file| String::from_utf8_lossy(&fs::read(file).expect("a message")).into_owned()).collect()
    }

    /// What it has told so far.
    pub fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }

    /// Waits for a message that has this in it.
    #[track_caller]
    pub fn await_message(&self, part: &str) -> String {
        bounded("a message to arrive", || self.messages().into_iter().find(|message| message.contains(part)))
    }
}

impl Drop for Postfix {
    fn drop(&mut self) {
        let _ = self.command("postfix", &["stop"]).output();
    }
}
