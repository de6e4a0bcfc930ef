//! The server under test: `mailstead serve` in the lab. As the sender, without a relay, so that it delivers to whom the DNS
//! names; and as the server of domains that others deliver to.

use std::collections::BTreeMap;
use std::fs;
use std::net::IpAddr;
use std::process::Command;

use serde_json::Value;

use super::{Identity, Receivers};
use crate::imap::Imap;
use crate::lab::{Dates, Lab};
use crate::{Configured, Ran, binary, bounded, run_with_input};

/// Where users submit.
const SUBMISSION: u16 = 2587;
/// Where they read.
const IMAP: u16 = 2143;

/// What a message asks of TLS.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Asks {
    /// Nothing.
    Nothing,
    /// REQUIRETLS (RFC 8689 §4).
    RequireTls,
    /// `TLS-Required: No` (RFC 8689 §5).
    TlsRequiredNo,
}

impl Asks {
    /// All of them.
    pub const ALL: [Asks; 3] = [Asks::Nothing, Asks::RequireTls, Asks::TlsRequiredNo];

    /// The local part of those who get a message that asks this.
    pub fn localpart(self) -> &'static str {
        match self {
            Asks::Nothing => "somebody",
            Asks::RequireTls => "secret",
            Asks::TlsRequiredNo => "anyway",
        }
    }
}

/// A running server.
#[derive(Debug)]
pub struct Mailstead(Configured);

impl Mailstead {
    /// Starts one that trusts the receivers' authority, and asks the lab's resolver without believing it.
    #[track_caller]
    pub fn send(receivers: &Receivers) -> Self {
        let lab = receivers.lab();
        let config = format!(
            "hostname = \"mail.sender.test\"\npostmaster = \"sender\"\n\
             [[listener]]\naddresses = \"127.0.0.1\"\nsubmission = {SUBMISSION}\nimap = {IMAP}\n\
             [[listener]]\naddresses = \"{}\"\nsmtp = 25\n\
             [queue]\nextra-ca-file = \"{}\"\n\
             [domains.\"sender.test\"]\n[accounts.sender]\naddresses = [\"sender@sender.test\"]\n",
            lab.address(110),
            receivers.authority_file().display(),
        );
        Self::start(lab, &Identity::self_signed(&["mail.sender.test"], Dates::Current), &config, "sender")
    }

    /// Starts one that takes mail at this address for the account `jane`, who has an address in each of these domains. It
    /// is named after what it shows.
    #[track_caller]
    pub fn receive(lab: &Lab, address: IpAddr, shown: &Identity, hostname: &str, domains: &[&str]) -> Self {
        let list = |items: Vec<String>| items.join(", ");
        let addresses = list(domains.iter().map(|domain| format!("\"jane@{domain}\"")).collect());
        let domains: String = domains.iter().map(|domain| format!("[domains.\"{domain}\"]\n")).collect();
        let config = format!(
            "hostname = \"{hostname}\"\npostmaster = \"jane\"\n\
             [[listener]]\naddresses = \"127.0.0.1\"\nimap = {IMAP}\nplaintext-login = true\n\
             [[listener]]\naddresses = \"{address}\"\nsmtp = 25\nsubmissions = 465\nimaps = 993\n\
             {domains}[accounts.jane]\naddresses = [{addresses}]\n",
        );
        Self::start(lab, shown, &config, "jane")
    }

    fn start(lab: &Lab, shown: &Identity, config: &str, account: &str) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        fs::write(folder.path().join("tls.pem"), shown.pem()).expect("a certificate");
        let config = format!(
            "{config}\
             [tls]\ncertificate = \"tls.pem\"\nkey = \"tls.pem\"\n\
             [limits]\nexempt-networks = [\"127.0.0.0/8\"]\n\
             [dns]\nmode = \"validate\"\nservers = [\"{}\"]\ntrust-anchors = \"{}\"\nprivate-servers = true\n",
            lab.oracle().address(),
            lab.trust_anchor().display(),
        );
        Self(Configured::start(&binary(), folder, &config, account))
    }

    /// Lets it show another certificate from now on.
    #[track_caller]
    pub fn show(&self, shown: &Identity) {
        fs::write(self.0.folder().join("tls.pem"), shown.pem()).expect("a certificate");
        self.0.reload();
    }

    /// The headers of all messages that `jane` has in her inbox.
    #[track_caller]
    pub fn received(&self) -> Vec<String> {
        let mut imap = Imap::connect(IMAP).expect("connect");
        imap.ok(&format!("LOGIN jane \"{}\"", Configured::password()));
        imap.ok("SELECT INBOX");
        let fetched = imap.ok("UID FETCH 1:* BODY.PEEK[HEADER]");
        fetched.into_iter().filter(|response| response.contains("BODY[HEADER]")).collect()
    }

    /// Runs a `mailstead` command about this server.
    pub fn command(&self, words: &[&str]) -> Ran {
        self.0.command(words)
    }

    /// What it has told so far, a line each.
    pub fn log(&self) -> Vec<Value> {
        self.0.log()
    }

    /// What `transport explain` says of a message.
    #[track_caller]
    pub fn explain(&self, recipient: &str, asks: Asks) -> Value {
        let mut words = vec!["transport", "explain", recipient, "--json"];
        match asks {
            Asks::Nothing => {}
            Asks::RequireTls => words.push("--require-tls"),
            Asks::TlsRequiredNo => words.push("--tls-required-no"),
        }
        let told = self.command(&words).success().out;
        serde_json::from_str(&told).unwrap_or_else(|error| panic!("not JSON ({error}): {told}"))
    }

    /// Submits one message to all of these, which asks this.
    #[track_caller]
    pub fn submit(&self, recipients: &[String], asks: Asks) {
        let script = format!(
            r#"
import smtplib, ssl, sys
tls = ssl.create_default_context()
tls.check_hostname, tls.verify_mode = False, ssl.CERT_NONE
smtp = smtplib.SMTP("127.0.0.1", {SUBMISSION})
smtp.starttls(context=tls)
smtp.login("sender@sender.test", "{password}")
recipients = sys.stdin.read().split()
field = "TLS-Required: No\r\n" if {no} else ""
options = ["REQUIRETLS"] if {require} else []
message = "From: <sender@sender.test>\r\n" + field + "Subject: a message from Mailstead\r\n\r\nHello.\r\n"
refused = smtp.sendmail("sender@sender.test", recipients, message, mail_options=options)
assert not refused, refused
smtp.quit()
"#,
            password = Configured::password(),
            no = if asks == Asks::TlsRequiredNo { "True" } else { "False" },
            require = if asks == Asks::RequireTls { "True" } else { "False" },
        );
        let mut submit = Command::new("python3");
        submit.arg("-c").arg(script);
        run_with_input(&mut submit, &recipients.join("\n")).success();
    }

    /// Waits for what becomes of the next attempt for each of these: the line of the log.
    #[track_caller]
    pub fn fates(&self, recipients: &[String], attempt: u64) -> BTreeMap<String, Value> {
        bounded("every recipient to have a fate", || {
            let log = self.log();
            let of = |to: &String| {
                let is = |line: &&Value| line["recipient"] == *to && line["attempts"] == attempt;
                log.iter().find(is).map(|line| (to.clone(), line.clone()))
            };
            recipients.iter().map(of).collect()
        })
    }

    /// Where it connects from.
    pub fn source(receivers: &Receivers) -> IpAddr {
        receivers.lab().address(110)
    }
}
