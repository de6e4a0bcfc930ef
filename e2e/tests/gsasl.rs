//! GNU SASL: SCRAM-SHA-256 with and without channel binding, over IMAP and SMTP.

use std::process::Command;

use mailstead_e2e::{PASSWORD, Ran, Server, USER, run_with_input};

fn gsasl(server: &Server, protocol: &str, service: &str, arguments: &[&str], password: &str) -> Ran {
    let mut gsasl = Command::new("gsasl");
    gsasl.args([protocol, "--authentication-id", USER, "--password", password, "--verbose"]);
    gsasl.args(["--x509-ca-file", &server.ca_file()]).args(arguments);
    gsasl.args(["localhost", &server.port(service).to_string()]);
    run_with_input(&mut gsasl, "")
}

#[test]
fn scram_sha_256_over_imap_and_smtp() {
    let server = Server::start();
    // gsasl refuses the plain mechanism where it could bind the channel.
    let mechanism = ["--mechanism", "SCRAM-SHA-256", "--no-cb", "--starttls"];
    gsasl(&server, "--imap", "imap", &mechanism, PASSWORD).success();
    gsasl(&server, "--smtp", "submission", &mechanism, PASSWORD).success();
}

#[test]
fn scram_sha_256_plus_binds_the_channel() {
    let server = Server::start();
    let mechanism = ["--mechanism", "SCRAM-SHA-256-PLUS", "--starttls", "--priority", "NORMAL:-VERS-ALL:+VERS-TLS1.3"];
    gsasl(&server, "--imap", "imap", &mechanism, PASSWORD).success();
    gsasl(&server, "--smtp", "submission", &mechanism, PASSWORD).success();
}

#[test]
fn a_wrong_password_and_an_unknown_user_fail_alike() {
    let server = Server::start();
    let wrong = gsasl(&server, "--imap", "imap", &["--mechanism", "SCRAM-SHA-256", "--no-cb", "--starttls"], "wrong");
    assert_ne!(wrong.code, 0);
    assert!(wrong.text().contains("AUTHENTICATIONFAILED"), "{}", wrong.text());
    let mut gsasl = Command::new("gsasl");
    gsasl.args(["--imap", "--mechanism", "SCRAM-SHA-256", "--no-cb", "--starttls", "--verbose", "--password", "wrong"]);
    gsasl.args(["--authentication-id", "nobody@localhost", "--x509-ca-file", &server.ca_file()]);
    let unknown = run_with_input(gsasl.args(["localhost", &server.port("imap").to_string()]), "");
    assert_ne!(unknown.code, 0);
    assert!(unknown.text().contains("AUTHENTICATIONFAILED"), "{}", unknown.text());
}
