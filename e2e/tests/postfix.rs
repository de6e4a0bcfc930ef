//! Postfix delivering to us: another server's queue, pipelining, SIZE, 8BITMIME, SMTPUTF8 and STARTTLS.

use std::process::Command;

use mailstead_e2e::{Server, USER, bounded, run, run_with_input};

/// A Postfix with a configuration and a queue of its own. It starts only as root, and then works as its own user.
struct Postfix {
    folder: tempfile::TempDir,
}

impl Postfix {
    fn start(server: &Server) -> Self {
        // Postfix refuses a queue below a folder that others cannot enter.
        let folder = tempfile::Builder::new().prefix("postfix").tempdir().expect("a folder");
        let (etc, spool, data) = (folder.path().join("etc"), folder.path().join("spool"), folder.path().join("data"));
        for part in [&etc, &spool, &data] {
            std::fs::create_dir(part).expect("a folder");
        }
        let main = format!(
            "compatibility_level = 3.6\nqueue_directory = {}\ndata_directory = {}\nmail_owner = postfix\n\
             setgid_group = postdrop\nmyhostname = sender.example.org\nmydestination =\ninet_interfaces = loopback-only\n\
             inet_protocols = ipv4\nrelayhost = [127.0.0.1]:{}\nsmtp_tls_security_level = verify\n\
             smtp_tls_CAfile = {}\nsmtp_tls_verify_cert_match = localhost\nsmtp_tls_loglevel = 1\n\
             smtp_host_lookup = native\nsmtputf8_enable = yes\nmaillog_file = /dev/stdout\nalias_maps =\n\
             smtp_destination_concurrency_limit = 5\nsmtp_dns_support_level = disabled\n",
            spool.display(),
            data.display(),
            server.port("smtp"),
            server.ca_file(),
        );
        std::fs::write(etc.join("main.cf"), main).expect("main.cf");
        std::fs::write(
            etc.join("master.cf"),
            "pickup unix n - n 1 1 pickup\ncleanup unix n - n - 0 cleanup\nqmgr unix n - n 1 1 qmgr\n\
             rewrite unix - - n - - trivial-rewrite\nbounce unix - - n - 0 bounce\ndefer unix - - n - 0 bounce\n\
             trace unix - - n - 0 bounce\nsmtp unix - - n - - smtp\nrelay unix - - n - - smtp\n\
             error unix - - n - - error\nretry unix - - n - - error\ntlsmgr unix - - n 1000? 1 tlsmgr\n\
             anvil unix - - n - 1 anvil\nscache unix - - n - 1 scache\npostlog unix-dgram n - n - 1 postlogd\n",
        )
        .expect("master.cf");
        let postfix = Self { folder };
        for part in [postfix.folder.path(), &etc, &spool, &data] {
            run(Command::new("chmod").arg("755").arg(part)).success();
        }
        run(Command::new("chown").arg("postfix").arg(&data)).success();
        run(&mut postfix.command("postfix", &["start"])).success();
        postfix
    }

    fn command(&self, program: &str, arguments: &[&str]) -> Command {
        let etc = self.folder.path().join("etc");
        let mut command = Command::new(program);
        command.arg("-c").arg(etc).args(arguments);
        command
    }

    fn send(&self, from: &str, recipients: &[&str], message: &str) {
        let mut sendmail = Command::new("/usr/sbin/sendmail");
        sendmail.arg("-C").arg(self.folder.path().join("etc")).args(["-f", from]).args(recipients);
        run_with_input(&mut sendmail, message).success();
    }
}

impl Drop for Postfix {
    fn drop(&mut self) {
        let _ = self.command("postfix", &["stop"]).output();
    }
}

#[test]
fn delivers_what_its_queue_holds() {
    let server = Server::start();
    let postfix = Postfix::start(&server);
    for number in 1..=10 {
        let text = format!("Subject: from postfix {number}\n\nline one\n.leading dot\n\nnumber {number}\n");
        postfix.send("sender@example.org", &[USER, "second@example.com"], &text);
    }
    let umlauts = "Subject: eight bit\nMIME-Version: 1.0\nContent-Type: text/plain; charset=utf-8\n\
                   Content-Transfer-Encoding: 8bit\n\nGrüße\n";
    postfix.send("sender@example.org", &[USER], umlauts);
    let utf8 = "From: <δοκιμή@example.org>\nSubject: ζεύς\n\nκείμενο\n";
    postfix.send("δοκιμή@example.org", &[USER], utf8);

    // Both recipients of a transaction are the one account of this server, which keeps a copy for each.
    server.await_messages("INBOX", 22);
    bounded("an empty queue", || {
        let queue = run(&mut postfix.command("postqueue", &["-p"]));
        queue.text().contains("Mail queue is empty").then_some(())
    });
    let mut imap = server.imap();
    imap.ok("SELECT INBOX");
    let dotted = imap.ok("FETCH 1 BODY.PEEK[]").join("\n");
    assert!(dotted.contains("\r\n.leading dot\r\n"), "{dotted}");
    assert!(dotted.contains("with ESMTPS"), "Postfix verified our certificate and used TLS: {dotted}");
    server.check();
}
