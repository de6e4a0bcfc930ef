//! Sender authentication through the real server in a signed DNS: what a message says of itself, what the server makes of
//! it, what it tells the sender, and what `message why` and the commands tell the operator.

use std::net::IpAddr;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use mailstead_e2e::lab::{Field, Keys, Lab, Signer, Spoil, Zone, inside};
use mailstead_e2e::{Imap, Ran, binary, bounded, run, run_with_input};
use serde_json::Value;
use tempfile::TempDir;

/// Where the server listens.
const SERVER: &str = "192.0.2.150";
const HOSTNAME: &str = "mx.home.example";
const PASSWORD: &str = "correct horse battery";
/// The client with names in a signed zone, that with names in an unsigned one, and one that nobody names.
const SIGNED_CLIENT: &str = "203.0.113.25";
const UNSIGNED_CLIENT: &str = "198.51.100.77";
const STRANGER: &str = "203.0.113.99";

/// Keys of the senders, made by the program under test.
struct Keychain {
    folder: TempDir,
}

impl Keychain {
    fn new() -> Keychain {
        Keychain { folder: TempDir::new().expect("a temporary directory") }
    }

    fn file(&self, domain: &str) -> PathBuf {
        self.folder.path().join(format!("{domain}.pem"))
    }

    /// Makes a key; returns its record as a line of a zone.
    fn make(&self, domain: &str, kind: &str) -> String {
        let arguments = ["dkim", "generate", kind, "--selector", "key", "--domain", domain, "--out"];
        let told = run(Command::new(binary()).args(arguments).arg(self.file(domain))).success();
        let (_, data) = told.out.split_once(" TXT ").unwrap_or_else(|| panic!("{}", told.out));
        format!("key._domainkey TXT {}", data.trim())
    }

    /// A message with a signature in front.
    fn sign(&self, domain: &str, message: &str) -> String {
        let arguments = ["dkim", "sign", "--selector", "key", "--domain", domain, "--key"];
        let told = run_with_input(Command::new(binary()).args(arguments).arg(self.file(domain)), message).success();
        told.out.replace("\r\n", "\n").replace('\n', "\r\n") + message
    }
}

/// The lab with senders of every kind.
fn lab(keys: &Keychain) -> Lab {
    let sender = |zone: Zone, host: &str, kind: &str, policy: &str| {
        let name = zone.name.trim_end_matches('.').to_owned();
        let key = keys.make(&name, kind);
        zone.text(&format!("@ MX 10 mail\nmail A {host}\n@ TXT \"v=spf1 a:mail.{name} -all\"\n{key}"))
            .text(&format!("_dmarc TXT \"v=DMARC1; p={policy}; rua=mailto:dmarc@{name}\""))
    };
    let signed = |name| Zone::new(name, "alpha").signed(Signer::Ldns, Keys::Csk(13));
    let zones = vec![
        sender(signed("bank.example."), SIGNED_CLIENT, "rsa", "reject"),
        sender(Zone::new("club.example.", "beta"), UNSIGNED_CLIENT, "ed25519", "reject"),
        sender(signed("shop.example."), SIGNED_CLIENT, "ed25519", "quarantine"),
        // Nobody can tell what its policy is.
        sender(signed("broken.example."), SIGNED_CLIENT, "ed25519", "reject").spoil(Spoil::Signature(
            "_dmarc",
            "TXT",
            Field::Signature,
        )),
        signed("silent.example.").text("@ MX 0 .\n@ A 203.0.113.5"),
        // A list as RFC 5782 §5 wants it.
        signed("list.example.").text("2.0.0.127 A 127.0.0.2\n2.0.0.127 TXT \"for testing\"\n99.113.0.203 A 127.0.0.4"),
        Zone::new("home.example.", "alpha").signed(Signer::Ldns, Keys::Csk(13)).text("mx A 192.0.2.150\n@ MX 10 mx"),
    ];
    let lab = Lab::start_with(|world| {
        let reverse = ["113.0.203.in-addr.arpa.", "100.51.198.in-addr.arpa."];
        world.keep(&["unsigned.example.", reverse[0], reverse[1]]);
        let mut names = world.zones.iter_mut().filter(|zone| reverse.contains(&zone.name.as_str()));
        names.next().expect("a signed tree of addresses").text += "\n25 PTR mail.bank.example.\n";
        names.next().expect("an unsigned tree of addresses").text += "\n77 PTR mail.club.example.\n";
        world.zones.extend(zones);
    });
    let own = [SIGNED_CLIENT, UNSIGNED_CLIENT, STRANGER];
    lab.add_addresses(own.map(|address| address.parse::<IpAddr>().expect("an address")));
    lab.resolv_conf(&[lab.oracle().address().ip()]);
    lab
}

/// A server in the lab with one account.
struct Host {
    child: Child,
    folder: TempDir,
    trust: Vec<std::ffi::OsString>,
}

impl Host {
    fn start(lab: &Lab) -> Host {
        let folder = TempDir::new().expect("a temporary directory");
        let (anchor, hints) = (lab.trust_anchor(), lab.root_hints());
        let text = format!(
            "hostname = \"{HOSTNAME}\"\ndata-directory = \"data\"\npostmaster = \"alice\"\n\n\
             [[listener]]\naddresses = [\"{SERVER}\", \"127.0.0.1\"]\nsmtp = 25\nimap = 143\nplaintext-login = true\n\n\
             [dns]\nmode = \"validate\"\ntrust-anchors = {anchor:?}\nroot-hints = {hints:?}\n\n\
             [domains.\"home.example\"]\n\n[accounts.alice]\naddresses = [\"alice@home.example\", \"bob@home.example\"]\n",
        );
        let config = folder.path().join("mailstead.toml");
        std::fs::write(&config, text).expect("write the configuration");
        let words = ["account", "password", "alice", "--config"];
        run_with_input(Command::new(binary()).args(words).arg(&config), &format!("{PASSWORD}\n")).success();
        let log = std::fs::File::create(folder.path().join("log")).expect("a log");
        let mut server = Command::new(binary());
        server.args(["serve", "--log-level", "debug", "--config"]).arg(&config).stdin(Stdio::null());
        let child = server.stdout(Stdio::null()).stderr(log).spawn().expect("start the server");
        let trust = [
            "--trust-anchor".into(),
            anchor.into_os_string(),
            "--root-hints".into(),
            hints.into_os_string(),
            "--mode".into(),
            "validate".into(),
        ];
        let host = Host { child, folder, trust: trust.into() };
        bounded("the server to listen", || std::net::TcpStream::connect((SERVER, 25)).ok());
        host
    }

    fn config(&self) -> PathBuf {
        self.folder.path().join("mailstead.toml")
    }

    /// Sends a message with swaks from an address; returns what the server said, line by line.
    fn send(&self, client: &str, from: &str, to: &str, message: &str) -> String {
        let file = self.folder.path().join("message");
        std::fs::write(&file, message).expect("write the message");
        let mut swaks = Command::new("swaks");
        swaks.args(["--server", SERVER, "--local-interface", client, "--helo", "mail.bank.example", "--from", from]);
        swaks.args(["--to", to, "--no-strip-from", "--data"]).arg(format!("@{}", file.display()));
        let ran = run(swaks.args(["--timeout", "50"]));
        ran.out
            .lines()
            .filter_map(|line| line.strip_prefix("<-  ").or_else(|| line.strip_prefix("<** ")))
            .map(|line| format!("{line}\n"))
            .collect()
    }

    fn imap(&self) -> Imap {
        let mut imap = Imap::connect(143).expect("connect");
        imap.ok(&format!("LOGIN alice@home.example \"{PASSWORD}\""));
        imap
    }

    /// The newest message of a mailbox that holds so many.
    #[track_caller]
    fn newest(&self, mailbox: &str, number: usize) -> String {
        let mut imap = self.imap();
        bounded("the message to be there", || {
            let status = imap.ok(&format!("STATUS {mailbox} (MESSAGES)")).join("\n");
            status.contains(&format!("(MESSAGES {number})")).then_some(())
        });
        imap.ok(&format!("SELECT {mailbox}"));
        imap.ok(&format!("FETCH {number} BODY.PEEK[]")).join("\n")
    }

    /// `message why` in words, and as JSON.
    #[track_caller]
    fn why(&self, id: &str) -> (String, Value) {
        let command = |extra: &[&str]| {
            let mut command = Command::new(binary());
            run(command.args(["message", "why", id]).args(extra).arg("--config").arg(self.config())).success().out
        };
        let json = command(&["--json"]);
        let first = json.lines().next().unwrap_or_default();
        (command(&[]), serde_json::from_str(first).unwrap_or_else(|error| panic!("{error}: {json}")))
    }

    /// One of the commands that ask the DNS.
    fn ask(&self, words: &[&str], input: &str) -> Ran {
        run_with_input(Command::new(binary()).args(words).args(&self.trust), input)
    }

    /// The same as JSON.
    #[track_caller]
    fn ask_json(&self, words: &[&str], input: &str) -> Value {
        let ran = self.ask(&[words, &["--json"]].concat(), input).success();
        serde_json::from_str(&ran.out).unwrap_or_else(|error| panic!("{error}: {}", ran.out))
    }
}

impl Drop for Host {
    #[expect(clippy::print_stderr, reason = "a failed test shows what the server said")]
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            let log = std::fs::read_to_string(self.folder.path().join("log")).unwrap_or_default();
            eprintln!("{}", log.lines().rev().take(30).collect::<Vec<_>>().join("\n"));
        }
    }
}

fn message(from: &str, subject: &str) -> String {
    format!(
        "From: Somebody <{from}>\r\nTo: <alice@home.example>\r\nSubject: {subject}\r\n\
         Date: Thu, 26 Nov 2026 10:00:00 +0000\r\nMessage-ID: <{subject}@example>\r\n\r\nHello.\r\n"
    )
}

/// The Authentication-Results fields of a message, unfolded.
fn results(message: &str) -> Vec<String> {
    let unfolded = message.replace("\r\n\t", " ").replace("\r\n ", " ").replace("\n\t", " ").replace("\n ", " ");
    unfolded
        .lines()
        .filter(|line| line.starts_with("Authentication-Results:"))
        .map(|line| line.trim_end().to_owned())
        .collect()
}

/// The id in parentheses at the end of a reply.
#[track_caller]
fn id(replies: &str) -> String {
    let last = replies.lines().rfind(|line| line.starts_with('5') || line.starts_with('4')).unwrap_or(replies);
    let (_, id) = last.rsplit_once('(').unwrap_or_else(|| panic!("no id in {replies}"));
    id.trim_end_matches(')').to_owned()
}

/// The id of a message that was accepted: in our Received field.
#[track_caller]
fn id_of(message: &str) -> String {
    let (_, rest) = message.split_once(&format!("by {HOSTNAME}")).unwrap_or_else(|| panic!("{message}"));
    rest.split_whitespace().skip_while(|word| *word != "id").nth(1).expect("an id").trim_end_matches(';').to_owned()
}

#[test]
fn what_senders_prove_decides() {
    inside("what_senders_prove_decides", || {
        let keys = Keychain::new();
        let lab = lab(&keys);
        let host = Host::start(&lab);
        signed_and_unsigned(&host, &keys);
        spoofs(&host, &keys);
        envelopes(&host);
        commands(&host, &keys);
    });
}

/// The four methods with their comments, and nothing of what was forged.
fn signed_and_unsigned(host: &Host, keys: &Keychain) {
    let forged = format!(
        "Authentication-Results: {HOSTNAME}; dmarc=pass header.from=evil.example\r\n\
         Authentication-Results: other.example; spf=pass\r\n"
    );
    let cases =
        [("bank.example", SIGNED_CLIENT, "with dnssec", 1), ("club.example", UNSIGNED_CLIENT, "without dnssec", 2)];
    for (domain, client, comment, number) in cases {
        let from = format!("news@{domain}");
        let text = keys.sign(domain, &message(&from, domain));
        let replies = host.send(client, &from, "alice@home.example", &format!("{forged}{text}"));
        assert!(replies.contains("250 2.2.0"), "{replies}");
        let stored = host.newest("INBOX", number);
        let fields = results(&stored);
        let own: Vec<&String> = fields.iter().filter(|field| field.contains(HOSTNAME)).collect();
        assert_eq!(own.len(), 1, "{fields:#?}");
        for method in ["iprev=pass", "spf=pass", "dkim=pass", "dmarc=pass"] {
            let at = own[0].find(method).unwrap_or_else(|| panic!("{method}: {own:?}"));
            let part = own[0][at..].split(';').next().unwrap_or_default();
            assert!(part.contains(comment), "{method}: {part}");
            assert_eq!(part.contains("without dnssec"), comment == "without dnssec", "{part}");
        }
        assert!(!stored.contains("evil.example"), "{stored}");
        assert!(fields.iter().any(|field| field.contains("other.example")), "{fields:#?}");

        let (words, json) = host.why(&id_of(&stored));
        let proved = comment == "with dnssec";
        for wanted in ["SPF", "DKIM", "DMARC", domain] {
            assert!(words.contains(wanted), "{wanted}: {words}");
        }
        let checks = &json["checks"];
        let each = [&checks["iprev"], &checks["spf"], &checks["dkim"]["signatures"][0], &checks["dmarc"]];
        for check in each {
            assert_eq!((&check["result"], &check["dnssec"]), (&"pass".into(), &proved.into()), "{json}");
            assert!(check["dns"].as_array().is_some_and(|answers| !answers.is_empty()), "{json}");
        }
    }
}

/// Mail in the name of others.
fn spoofs(host: &Host, keys: &Keychain) {
    let spoof = |domain: &str| {
        let from = format!("boss@{domain}");
        host.send(STRANGER, "bounce@shop.example", "alice@home.example", &message(&from, "urgent"))
    };
    let replies = spoof("bank.example");
    assert!(replies.contains("550 5.7.1") || replies.contains("550-5.7.1"), "{replies}");
    let refusal: String = replies.lines().filter(|line| line.starts_with("550")).collect();
    for wanted in ["bank.example", "DMARC", "SPF", "DKIM"] {
        assert!(refusal.contains(wanted), "{wanted}: {refusal}");
    }
    let (words, json) = host.why(&id(&replies));
    for wanted in ["bank.example", "DMARC", "reject", "_dmarc.bank.example"] {
        assert!(words.contains(wanted), "{wanted}: {words}");
    }
    assert_eq!(json["checks"]["dmarc"]["dnssec"], true, "{json}");
    assert_eq!(json["checks"]["dmarc"]["result"], "fail", "{json}");

    // Altered on the way: the signature is there and does not hold.
    let signed = keys.sign("bank.example", &message("news@bank.example", "altered")).replace("Hello.", "Send money.");
    let replies = host.send(STRANGER, "news@bank.example", "alice@home.example", &signed);
    assert!(replies.contains("5.7.1"), "{replies}");
    let (words, _) = host.why(&id(&replies));
    assert!(words.contains("body"), "{words}");

    let replies = spoof("shop.example");
    assert!(replies.contains("250 2.2.0"), "{replies}");
    let stored = host.newest("Junk", 1);
    assert!(results(&stored).iter().any(|field| field.contains("dmarc=fail")), "{stored}");
    let (words, _) = host.why(&id_of(&stored));
    assert!(words.contains("quarantine") && words.contains("Junk"), "{words}");

    let replies = spoof("broken.example");
    assert!(replies.contains("451 4.7.1") || replies.contains("451-4.7.1"), "{replies}");
    let (words, _) = host.why(&id(&replies));
    assert!(words.contains("bogus") || words.contains("DNSSEC"), "{words}");
}

/// What is refused before any message.
fn envelopes(host: &Host) {
    let send = |client, from, to| host.send(client, from, to, &message("a@bank.example", "envelope"));
    for from in ["a@nowhere.bank.example", "a@silent.example"] {
        let replies = send(STRANGER, from, "alice@home.example");
        assert!(replies.contains("550 5.7.27"), "{from}: {replies}");
    }
    let replies = send(STRANGER, "a@bank.example", "alice@home.example,bob@home.example");
    assert!(replies.contains("452 4.5.3"), "{replies}");
    let replies = send(STRANGER, "a@bank.example", "nobody@home.example");
    assert!(replies.contains("\n354 "), "unknown recipients are hidden until after the message: {replies}");
    assert!(replies.lines().any(|line| line.starts_with("550 5.") && !line.starts_with("550 5.7.27")), "{replies}");
}

/// The operator's commands on the same DNS.
fn commands(host: &Host, keys: &Keychain) {
    let signed = keys.sign("bank.example", &message("news@bank.example", "command"));
    let spf = host.ask_json(&["spf", "check", SIGNED_CLIENT, "news@bank.example"], "");
    assert_eq!((&spf["result"], &spf["dnssec"]), (&Value::from("pass"), &Value::from("secure")), "{spf}");
    let spf = host.ask_json(&["spf", "check", STRANGER, "news@club.example"], "");
    assert_eq!((&spf["result"], &spf["dnssec"]), (&Value::from("fail"), &Value::from("insecure")), "{spf}");
    for words in [
        &["spf", "lookup", "bank.example"][..],
        &["dkim", "lookup", "key", "bank.example"],
        &["dmarc", "lookup", "bank.example"],
        &["iprev", SIGNED_CLIENT],
        &["dkim", "verify"],
        &["arc", "verify"],
        &["dmarc", "verify", "--ip", SIGNED_CLIENT, "--mail-from", "news@bank.example"],
        &["dnsbl", "check", "list.example", STRANGER],
        &["dnsbl", "health", "list.example"],
    ] {
        let ran = host.ask(words, &signed).success();
        let json = host.ask_json(words, &signed);
        assert!(!ran.out.trim().is_empty() && json.is_object(), "{words:?}: {ran:?}");
    }
    let word = |words: &[&str]| {
        let out = host.ask(words, &signed).success().out;
        out.split_whitespace().next().unwrap_or_default().trim_end_matches([':', ',', ';']).to_owned()
    };
    assert_eq!(word(&["iprev", SIGNED_CLIENT]), "pass");
    assert_eq!(word(&["dkim", "verify"]), "pass");
    assert_eq!(word(&["dmarc", "verify", "--ip", SIGNED_CLIENT, "--mail-from", "news@bank.example"]), "pass");
    assert_eq!(word(&["dmarc", "verify", "--ip", STRANGER, "--mail-from", "a@shop.example"]), "pass");
    assert_eq!(word(&["arc", "verify"]), "none");
    assert_eq!(word(&["dnsbl", "check", "list.example", STRANGER]), "listed");
    assert_ne!(word(&["dnsbl", "check", "list.example", SIGNED_CLIENT]), "listed");
    let broken = host.ask(&["dmarc", "lookup", "broken.example"], "");
    assert_ne!(broken.code, 0, "{broken:?}");
}
