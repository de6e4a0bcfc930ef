//! mutt in batch mode: sending a message with an attachment, and reading the mailbox.
//!
//! Debian's mutt tries SCRAM-SHA-256-PLUS wherever it is offered and cannot bind a TLS 1.3 channel, so it is told which
//! mechanisms to use.

use std::process::Command;

use mailstead_e2e::{PASSWORD, Server, USER, run, run_with_input};

struct Mutt {
    home: tempfile::TempDir,
}

impl Mutt {
    fn new(server: &Server) -> Self {
        let home = tempfile::tempdir().expect("a home");
        let config = format!(
            "set folder=imaps://localhost:{}/\nset spoolfile=+INBOX\nset imap_user={USER}\nset imap_pass={PASSWORD}\n\
             set smtp_url=smtps://{}@localhost:{}/\nset smtp_pass={PASSWORD}\n\
             set certificate_file={}\nset from={USER}\nset use_from=yes\nset copy=yes\nset record=+Sent\n\
             set sleep_time=0\nset smtp_authenticators=\"scram-sha-256:plain\"\nset imap_authenticators=\"scram-sha-256:plain\"\nset ssl_verify_host=yes\nset header_cache=\n",
            server.port("imaps"),
            USER.replace('@', "%40"),
            server.port("submissions"),
            server.ca_file(),
        );
        std::fs::write(home.path().join("muttrc"), config).expect("muttrc");
        Self { home }
    }

    fn command(&self) -> Command {
        let mut mutt = Command::new("mutt");
        mutt.env("HOME", self.home.path()).env("TERM", "dumb").arg("-F").arg(self.home.path().join("muttrc"));
        mutt
    }
}

#[test]
fn sends_with_an_attachment_and_keeps_a_copy() {
    let server = Server::start();
    let mutt = Mutt::new(&server);
    let attachment = mutt.home.path().join("data.bin");
    let octets: Vec<u8> = (0..50_000u32).map(|number| (number * 7 % 251) as u8).collect();
    std::fs::write(&attachment, &octets).expect("the attachment");
    let mut command = mutt.command();
    command.args(["-s", "by mutt", "-a"]).arg(&attachment).args(["--", "friend@example.com"]);
    run_with_input(&mut command, "hello from mutt\n").success();
    server.await_messages("INBOX", 1);
    server.await_messages("Sent", 1);
    let mut imap = server.imap();
    imap.ok("ENABLE IMAP4rev2");
    imap.ok("SELECT INBOX");
    let structure = imap.ok("FETCH 1 BODYSTRUCTURE").join("\n");
    assert!(structure.to_uppercase().contains("\"MIXED\""), "{structure}");
    let size = imap.ok("FETCH 1 BINARY.SIZE[2]").join("\n");
    assert!(size.contains("BINARY.SIZE[2] 50000"), "{size}");
    server.check();
}

#[test]
fn reads_a_mailbox_in_batch_mode() {
    let server = Server::start();
    server.deliver("first", "alpha");
    server.deliver("second", "beta");
    let mutt = Mutt::new(&server);
    // Saves every message of the inbox to an mbox file, and leaves.
    let copy = mutt.home.path().join("copy.mbox");
    let keys =
        format!("push \"<tag-pattern>~A<enter><tag-prefix><copy-message><kill-line>{}<enter>y<exit>\"", copy.display());
    let mut command = mutt.command();
    command.args(["-e", "set confirmcreate=no", "-e", "set quit=yes", "-e", &keys]);
    // mutt wants a terminal to read from: script gives it one.
    let words: Vec<String> = std::iter::once(command.get_program())
        .chain(command.get_args())
        .map(|word| format!("'{}'", word.to_string_lossy().replace('\'', "'\\''")))
        .collect();
    let mut script = Command::new("script");
    script.args(["--quiet", "--return", "--command", &words.join(" "), "/dev/null"]);
    run(script.env("HOME", mutt.home.path()).env("TERM", "xterm")).success();
    let text = std::fs::read_to_string(&copy).expect("the copied messages");
    assert!(text.contains("alpha") && text.contains("beta"), "{text}");
    server.check();
}
