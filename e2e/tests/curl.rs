//! curl: reading and sending with its imap, imaps, smtp and smtps schemes.

use std::process::Command;

use mailstead_e2e::{PASSWORD, Ran, Server, USER, run_with_input};

fn curl(server: &Server, arguments: &[&str], input: &str) -> Ran {
    let mut curl = Command::new("curl");
    curl.args(["--silent", "--show-error", "--max-time", "30", "--cacert", &server.ca_file()]);
    curl.args(["--user", &format!("{USER}:{PASSWORD}")]).args(arguments);
    run_with_input(&mut curl, input)
}

const MESSAGE: &str =
    "From: <you@localhost>\r\nTo: <someone@example.com>\r\nSubject: by curl\r\n\r\nsent with curl\r\n";

#[test]
fn sends_and_reads() {
    let server = Server::start();
    for (scheme, service, required) in [("smtp", "submission", "--ssl-reqd"), ("smtps", "submissions", "--ssl")] {
        let url = format!("{scheme}://localhost:{}/client.example.org", server.port(service));
        let arguments = [required, &url, "--mail-from", USER, "--mail-rcpt", "someone@example.com", "-T", "-"];
        curl(&server, &arguments, MESSAGE).success();
    }
    server.await_messages("INBOX", 2);
    for (scheme, service, required) in [("imap", "imap", "--ssl-reqd"), ("imaps", "imaps", "--ssl")] {
        let base = format!("{scheme}://localhost:{}", server.port(service));
        let listed = curl(&server, &[required, &base], "").success();
        assert!(listed.out.contains("INBOX") || listed.out.contains("Inbox"), "{}", listed.out);
        let message = curl(&server, &[required, &format!("{base}/INBOX;UID=1")], "").success();
        assert!(message.out.contains("sent with curl"), "{}", message.out);
        let found = curl(&server, &[required, &format!("{base}/INBOX?SUBJECT%20curl")], "").success();
        assert!(found.out.contains("1 2"), "{}", found.out);
    }
    server.check();
}

#[test]
fn appends_to_a_mailbox() {
    let server = Server::start();
    let url = format!("imaps://localhost:{}/Drafts", server.port("imaps"));
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("draft.eml");
    std::fs::write(&file, MESSAGE).expect("the draft");
    curl(&server, &["-T", file.to_str().expect("a path"), &url], "").success();
    server.await_messages("Drafts", 1);
    server.check();
}

#[test]
fn shows_the_status_page_and_metrics() {
    let server = Server::start();
    let page = curl(&server, &[&format!("http://127.0.0.1:{}/", server.port("http"))], "").success();
    assert!(page.out.contains("lang=") && page.out.contains("<main"), "{}", page.out);
    assert!(page.out.contains(&server.port("imaps").to_string()), "{}", page.out);
    assert!(!page.out.contains("://cdn"), "the page loads nothing from elsewhere");
    let page = curl(&server, &[&format!("https://localhost:{}/", server.port("https"))], "").success();
    assert!(page.out.contains("<main"), "{}", page.out);
    server.deliver("counted", "one");
    let metrics = curl(&server, &[&format!("http://127.0.0.1:{}/metrics", server.port("metrics"))], "").success();
    assert!(metrics.out.contains("mailstead_"), "{}", metrics.out);
    assert!(metrics.out.ends_with("# EOF\n"), "{}", metrics.out);
}
