//! Logging in by the key of a certificate: gsasl (GnuTLS), curl and s_client (OpenSSL), mbsync; and swaks with a certificate
//! that nobody knows.

use std::path::{Path, PathBuf};
use std::process::Command;

use mailstead_e2e::{PASSWORD, Ran, Server, USER, run, run_with_input};
use serde_json::Value;
use tempfile::TempDir;

/// A key with its certificate, in files.
struct Credentials {
    folder: TempDir,
    fingerprint: String,
}

impl Credentials {
    /// Made by `mailstead tlskey generate`.
    fn new() -> Self {
        let folder = TempDir::new().expect("a folder");
        let mut generate = Command::new(mailstead_e2e::binary());
        let made = run(generate.args(["tlskey", "generate", "--json"]).arg(folder.path().join("device"))).success();
        let made: Value = serde_json::from_str(&made.out).expect("an object");
        let fingerprint = made["fingerprint"].as_str().expect("a fingerprint").to_owned();
        Credentials { folder, fingerprint }
    }

    /// The same, known to the server.
    fn known_to(server: &Server, arguments: &[&str]) -> Self {
        let made = Self::new();
        let (certificate, _) = made.files();
        server.command(&[&["tlskey", "add", USER, &certificate], arguments].concat()).success();
        made
    }

    /// With a key of this kind, made by openssl.
    fn by_openssl(key: &[&str]) -> Self {
        let made = Credentials { folder: TempDir::new().expect("a folder"), fingerprint: String::new() };
        let (certificate, private) = made.files();
        let mut request = Command::new("openssl");
        request.args(["req", "-x509", "-nodes", "-subj", "/CN=device", "-days", "1", "-newkey"]).args(key);
        run(request.args(["-out", &certificate, "-keyout", &private])).success();
        made
    }

    /// Certificate and key.
    fn files(&self) -> (String, String) {
        let file = |name: &str| self.folder.path().join(name).to_str().expect("a path").to_owned();
        (file("device.cert.pem"), file("device.key.pem"))
    }
}

fn gsasl(server: &Server, protocol: &str, service: &str, shown: &Credentials) -> Ran {
    let (certificate, key) = shown.files();
    let mut gsasl = Command::new("gsasl");
    gsasl.args([protocol, "--mechanism", "EXTERNAL", "--authorization-id", "", "--verbose", "--starttls"]);
    gsasl.args(["--x509-ca-file", &server.ca_file(), "--x509-cert-file", &certificate, "--x509-key-file", &key]);
    run_with_input(gsasl.args(["localhost", &server.port(service).to_string()]), "")
}

fn curl(server: &Server, shown: &Credentials, arguments: &[&str], input: &str) -> Ran {
    let (certificate, key) = shown.files();
    let mut curl = Command::new("curl");
    curl.args(["--silent", "--show-error", "--verbose", "--max-time", "30", "--ssl-reqd", "--cacert"]);
    curl.args([&server.ca_file(), "--cert", &certificate, "--key", &key]);
    // It logs in only where there is a user; there is no password.
    curl.args(["--user", &format!("{USER}:"), "--login-options", "AUTH=EXTERNAL"]).args(arguments);
    run_with_input(&mut curl, input)
}

/// What s_client says of a connection to a service with implicit TLS, and what the server says in it.
fn s_client(server: &Server, service: &str, shown: Option<&Credentials>, arguments: &[&str], input: &str) -> String {
    let mut s_client = Command::new("openssl");
    s_client.args(["s_client", "-ign_eof", "-CAfile", &server.ca_file(), "-servername", "localhost"]);
    s_client.args(["-connect", &format!("127.0.0.1:{}", server.port(service))]).args(arguments);
    if let Some((certificate, key)) = shown.map(Credentials::files) {
        s_client.args(["-cert", &certificate, "-key", &key]);
    }
    run_with_input(&mut s_client, input).text()
}

/// What s_client says where a server wants a certificate.
const ASKED: &str = "Requested Signature Algorithms";
const LOGOUT: &str = "a LOGOUT\r\n";

#[test]
fn mail_programs_log_in_without_a_password() {
    let server = Server::start();
    let known = Credentials::known_to(&server, &["--name", "laptop"]);
    for (protocol, service) in [("--imap", "imap"), ("--smtp", "submission")] {
        let ran = gsasl(&server, protocol, service, &known).success();
        assert!(
            ran.text().contains("EXTERNAL SCRAM") || ran.text().contains("AUTH=EXTERNAL AUTH=SCRAM"),
            "{}",
            ran.text()
        );
    }
    let message = "From: <you@localhost>\r\nTo: <someone@example.com>\r\nSubject: by key\r\n\r\nsent by key\r\n";
    for (scheme, service) in [("smtp", "submission"), ("smtps", "submissions")] {
        let url = format!("{scheme}://localhost:{}/client.example.org", server.port(service));
        let arguments = [&url, "--mail-from", USER, "--mail-rcpt", "someone@example.com", "-T", "-"];
        let ran = curl(&server, &known, &arguments, message).success();
        assert!(ran.err.contains("AUTH EXTERNAL"), "{}", ran.err);
    }
    server.await_messages("INBOX", 2);
    for (scheme, service, greeting) in [("imap", "imap", "* OK "), ("imaps", "imaps", "* PREAUTH ")] {
        let url = format!("{scheme}://localhost:{}/INBOX;UID=1", server.port(service));
        let ran = curl(&server, &known, &[&url], "").success();
        assert!(ran.out.contains("sent by key"), "{}", ran.out);
        assert!(ran.err.contains(&format!("< {greeting}")), "{}", ran.err);
        assert_eq!(ran.err.contains("AUTHENTICATE EXTERNAL"), scheme == "imap", "{}", ran.err);
    }
    server.check();
}

/// mbsync has no password to send, and is content with PREAUTH.
#[test]
fn mbsync_reads_by_key() {
    let server = Server::start();
    let known = Credentials::known_to(&server, &[]);
    server.deliver("for the mirror", "body");
    let folder = TempDir::new().expect("a folder");
    let (root, (certificate, key)) = (folder.path().display(), known.files());
    let config = format!(
        "IMAPAccount local\nHost localhost\nPort {}\nUser {USER}\nSSLType IMAPS\nCertificateFile {}\n\
         ClientCertificate {certificate}\nClientKey {key}\nTimeout 60\n\n\
         IMAPStore far\nAccount local\n\nMaildirStore near\nPath {root}/mail/\nInbox {root}/mail/INBOX\n\n\
         Channel all\nFar :far:\nNear :near:\nPatterns INBOX\nCreate Near\nSyncState {root}/mail/.state-\n",
        server.port("imaps"),
        server.ca_file(),
    );
    std::fs::create_dir(folder.path().join("mail")).expect("the maildir root");
    let file = folder.path().join("config");
    std::fs::write(&file, config).expect("the configuration");
    run(Command::new("mbsync").arg("--config").arg(&file).arg("--all")).success();
    let new: Vec<PathBuf> = entries(&folder.path().join("mail/INBOX/new"));
    assert_eq!(new.len(), 1);
}

fn entries(folder: &Path) -> Vec<PathBuf> {
    std::fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").path()).collect()
}

/// With every kind of key, both versions of TLS, and in sessions that go on where another ended.
#[test]
fn imap_over_tls_needs_no_word_of_the_client() {
    let server = Server::start();
    for key in [
        &["ec", "-pkeyopt", "ec_paramgen_curve:P-256"][..],
        &["ec", "-pkeyopt", "ec_paramgen_curve:P-384"],
        &["ed25519"],
        &["rsa:2048"],
    ] {
        let shown = Credentials::by_openssl(key);
        let (certificate, _) = shown.files();
        server.command(&["tlskey", "add", USER, &certificate]).success();
        for version in ["-tls1_2", "-tls1_3"] {
            let session = shown.folder.path().join(format!("session{version}"));
            let session = session.to_str().expect("a path");
            let first = s_client(&server, "imaps", Some(&shown), &[version, "-sess_out", session], LOGOUT);
            assert!(first.contains("* PREAUTH ") && first.contains("\nNew, "), "{key:?} {version}: {first}");
            let again = s_client(&server, "imaps", None, &[version, "-sess_in", session], LOGOUT);
            assert!(again.contains("* PREAUTH ") && again.contains("\nReused, "), "{key:?} {version}: {again}");
        }
    }
}

/// The list of keys decides, and not what was so when a session began.
#[test]
fn a_key_that_was_removed_lets_nobody_in() {
    let server = Server::start();
    let known = Credentials::known_to(&server, &["--no-imap-preauth"]);
    let folder = TempDir::new().expect("a folder");
    let session = folder.path().join("session");
    let session = session.to_str().expect("a path");
    let external = "a AUTHENTICATE EXTERNAL =\r\nb LOGOUT\r\n";
    let first = s_client(&server, "imaps", Some(&known), &["-sess_out", session], external);
    assert!(first.contains("* OK [") && first.contains(" AUTH=EXTERNAL ") && first.contains("a OK "), "{first}");
    let listed = server.command(&["tlskey", "list", "--json"]).success().out;
    let listed: Value = serde_json::from_str(&listed).expect("an object");
    assert_eq!((&listed["fingerprint"], &listed["imap_preauth"]), (&known.fingerprint.as_str().into(), &false.into()));

    server.command(&["tlskey", "remove", &known.fingerprint]).success();
    for arguments in [&["-sess_in", session][..], &[]] {
        let refused = s_client(&server, "imaps", Some(&known), arguments, external);
        assert!(!refused.contains("AUTH=EXTERNAL") && refused.contains("a NO [AUTHENTICATIONFAILED]"), "{refused}");
    }
    assert_ne!(gsasl(&server, "--imap", "imap", &known).code, 0);
    let again = server.command(&["tlskey", "remove", &known.fingerprint]);
    assert!(again.code != 0 && again.err.contains("no key has the fingerprint"), "{}", again.text());
}

/// Programs show whatever certificates they have. Only one whose key is too weak to know anybody by ends the handshake.
#[test]
fn an_unknown_key_is_no_hindrance() {
    let server = Server::start();
    Credentials::known_to(&server, &[]);
    let unknown = Credentials::new();
    let (certificate, key) = unknown.files();
    let mut swaks = Command::new("swaks");
    swaks.args(["--server", "127.0.0.1", "--port", &server.port("submissions").to_string(), "--tls-on-connect"]);
    swaks.args(["--tls-verify", "--tls-ca-path", &server.ca_file(), "--tls-cert", &certificate, "--tls-key", &key]);
    swaks.args(["--from", USER, "--to", "anyone@example.com", "--helo", "client.example.org"]);
    swaks.args(["--auth", "PLAIN", "--auth-user", USER, "--auth-password", PASSWORD]);
    let ran = run(&mut swaks).success();
    assert!(ran.out.contains("235") && !ran.out.contains("EXTERNAL"), "{}", ran.out);
    server.await_messages("INBOX", 1);
    let greeted = s_client(&server, "imaps", Some(&unknown), &[], LOGOUT);
    assert!(greeted.contains("* OK [") && !greeted.contains("AUTH=EXTERNAL"), "{greeted}");

    let weak = Credentials::by_openssl(&["rsa:1024"]);
    let old = ["-cipher", "DEFAULT:@SECLEVEL=0"];
    for version in ["-tls1_2", "-tls1_3"] {
        let refused = s_client(&server, "imaps", Some(&weak), &[&old[..], &[version]].concat(), LOGOUT);
        assert!(!refused.contains("* OK ") && refused.contains("alert certificate unknown"), "{version}: {refused}");
    }
    let (certificate, _) = weak.files();
    let refused = server.command(&["tlskey", "add", USER, &certificate]);
    assert!(refused.code != 0 && refused.err.contains("RSA keys need from 2048"), "{}", refused.text());
}

/// Neither strangers nor browsers are asked, and nobody is where the operator does not want it.
#[test]
fn only_users_are_asked_for_a_certificate() {
    let mut server = Server::start();
    let known = Credentials::known_to(&server, &[]);
    let asked = |server: &Server| {
        let is_asked = |service: &str, arguments: &[&str], bye: &str| {
            let said = s_client(server, service, None, arguments, bye);
            assert!(said.contains("\nNew, "), "a handshake: {said}");
            said.contains(ASKED)
        };
        [
            is_asked("imaps", &[], LOGOUT),
            is_asked("imap", &["-starttls", "imap"], LOGOUT),
            is_asked("submissions", &[], "QUIT\r\n"),
            is_asked("submission", &["-starttls", "smtp"], "QUIT\r\n"),
            is_asked("smtp", &["-starttls", "smtp"], "QUIT\r\n"),
            is_asked("https", &[], "GET / HTTP/1.0\r\n\r\n"),
        ]
    };
    assert_eq!(asked(&server), [true, true, true, true, false, false]);
    server.stop();
    // The list can be read and changed without a server, too.
    let listed = server.command(&["tlskey", "list", USER]).success().out;
    assert!(listed.starts_with(&known.fingerprint), "{listed}");
    let file = server.directory().join("mailstead.toml");
    let config = std::fs::read_to_string(&file).expect("the configuration");
    let changed = config.replace("[[listener]]\n", "[[listener]]\nclient-certificates = false\n");
    assert_ne!(changed, config);
    std::fs::write(&file, changed).expect("written");
    server.restart();
    assert_eq!(asked(&server), [false; 6]);
    let greeted = s_client(&server, "imaps", Some(&known), &[], LOGOUT);
    assert!(greeted.contains("* OK [") && !greeted.contains("AUTH=EXTERNAL"), "{greeted}");
}
