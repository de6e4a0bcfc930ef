//! swaks: mechanisms, STARTTLS, implicit TLS, 8-bit and SMTPUTF8.

use std::process::Command;

use mailstead_e2e::{PASSWORD, Server, USER, run};

fn swaks(server: &Server, service: &str) -> Command {
    let mut swaks = Command::new("swaks");
    swaks.args(["--server", "127.0.0.1", "--port", &server.port(service).to_string()]);
    swaks.args(["--from", "sender@example.org", "--to", "anyone@example.com", "--helo", "client.example.org"]);
    swaks
}

fn tls<'a>(command: &'a mut Command, server: &Server, how: &str) -> &'a mut Command {
    command.args([how, "--tls-verify", "--tls-ca-path", &server.ca_file()])
}

fn login<'a>(command: &'a mut Command, mechanism: &str) -> &'a mut Command {
    command.args(["--auth", mechanism, "--auth-user", USER, "--auth-password", PASSWORD])
}

#[test]
fn delivers_in_the_clear_and_with_starttls() {
    let server = Server::start();
    run(&mut swaks(&server, "smtp")).success();
    let ran = run(tls(&mut swaks(&server, "smtp"), &server, "--tls")).success();
    assert!(ran.out.contains("TLS started"), "{}", ran.out);
    server.await_messages("INBOX", 2);
    let mut imap = server.imap();
    imap.ok("SELECT INBOX");
    let headers = imap.ok("FETCH 2 BODY.PEEK[HEADER]").join("\n");
    assert!(headers.contains("with ESMTPS"), "{headers}");
    assert!(headers.contains("Delivered-To: anyone@example.com"), "{headers}");
    assert!(headers.contains("Return-Path: <sender@example.org>"), "{headers}");
    server.check();
}

#[test]
fn submits_with_each_mechanism_we_both_know() {
    let server = Server::start();
    let mut expected = 0;
    for mechanism in ["PLAIN", "LOGIN"] {
        for (service, how) in [("submission", "--tls"), ("submissions", "--tls-on-connect")] {
            let mut command = swaks(&server, service);
            let ran = run(login(tls(&mut command, &server, how), mechanism)).success();
            assert!(ran.out.contains("235"), "{}", ran.out);
            expected += 1;
        }
    }
    server.await_messages("INBOX", expected);
    server.check();
}

#[test]
fn refuses_a_wrong_password_and_mail_without_login() {
    let server = Server::start();
    let mut command = swaks(&server, "submissions");
    tls(&mut command, &server, "--tls-on-connect").args(["--auth", "PLAIN", "--auth-user", USER]);
    let ran = run(command.args(["--auth-password", "wrong"]));
    assert_ne!(ran.code, 0);
    assert!(ran.text().contains("535 5.7.8"), "{}", ran.text());

    let ran = run(tls(&mut swaks(&server, "submissions"), &server, "--tls-on-connect"));
    assert_ne!(ran.code, 0);
    assert!(ran.text().contains("530 5.7.0"), "{}", ran.text());
}

#[test]
fn carries_eight_bit_text_octet_for_octet() {
    let server = Server::start();
    let text = "From: <sender@example.org>\nTo: <anyone@example.com>\nSubject: eight bit\nMIME-Version: 1.0\n\
                Content-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: 8bit\n\nGrüße, 世界\n";
    run(swaks(&server, "smtp").args(["--data", text])).success();
    server.await_messages("INBOX", 1);
    let mut imap = server.imap();
    imap.ok("SELECT INBOX");
    let body = imap.ok("FETCH 1 BODY.PEEK[TEXT]").join("\n");
    assert!(body.contains("Grüße, 世界"), "{body}");
    let found = imap.ok("SEARCH CHARSET UTF-8 BODY \"世界\"").join("\n");
    assert!(found.contains('1'), "{found}");
}

#[test]
fn accepts_an_internationalised_address() {
    let server = Server::start();
    // swaks sends such an address without announcing it, as much software does: that is tolerated.
    run(swaks(&server, "smtp").args(["--to", "δοκιμή@παράδειγμα.δοκιμή"])).success();

    let mut smtp = server.smtp("smtp");
    assert!(smtp.hello().contains("SMTPUTF8"));
    assert!(smtp.command("MAIL FROM:<δοκιμή@παράδειγμα.δοκιμή> SMTPUTF8").expect("a reply").starts_with("250"));
    assert!(smtp.command("RCPT TO:<用户@例子.广告>").expect("a reply").starts_with("250"));
    assert!(smtp.command("DATA").expect("a reply").starts_with("354"));
    smtp.write("From: <δοκιμή@παράδειγμα.δοκιμή>\r\nSubject: ζεύς\r\n\r\nκείμενο\r\n.\r\n".as_bytes()).expect("sent");
    assert!(smtp.reply().expect("a reply").starts_with("250"));
    let mut imap = server.imap();
    imap.ok("SELECT INBOX");
    let downgraded = imap.ok("FETCH 2 (ENVELOPE BODY.PEEK[HEADER])").join("\n");
    assert!(downgraded.is_ascii(), "a session that has not enabled UTF8 sees ASCII: {downgraded}");
    let mut imap = server.imap();
    imap.ok("ENABLE UTF8=ACCEPT");
    imap.ok("SELECT INBOX");
    let envelope = imap.ok("FETCH 2 (ENVELOPE)").join("\n");
    assert!(envelope.contains("ζεύς"), "{envelope}");
    server.check();
}
