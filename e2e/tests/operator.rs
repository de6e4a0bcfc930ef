//! What the person who runs it sees: one clear message for each mistake, an exit code, and nothing touched.

use std::fs;
use std::net::TcpListener;
use std::path::Path;
use std::process::Command;

use mailstead_e2e::{Server, USER, binary, run};

fn mailstead(words: &[&str]) -> Command {
    let mut command = Command::new(binary());
    command.args(words);
    command
}

/// The names and contents of all files below a folder.
fn contents(folder: &Path) -> Vec<(String, Vec<u8>)> {
    let mut found = Vec::new();
    let mut open = vec![folder.to_path_buf()];
    while let Some(folder) = open.pop() {
        for entry in fs::read_dir(folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                open.push(path);
            } else if path.is_file() {
                found.push((path.display().to_string(), fs::read(&path).expect("a file")));
            }
        }
    }
    found.sort();
    found
}

/// Asserts that a start fails with a message that has these words, and changes no file.
#[track_caller]
fn refused(server: &Server, words: &[&str]) {
    let before = contents(server.directory());
    let ran = run(mailstead(&["localserve", "--ports", "any", "--dir"]).arg(server.directory()));
    assert_ne!(ran.code, 0, "{}", ran.text());
    for word in words {
        assert!(ran.err.contains(word), "no {word:?} in: {}", ran.text());
    }
    assert!(!ran.text().contains("panicked"), "{}", ran.text());
    let after = contents(server.directory());
    assert_eq!(names(&before), names(&after));
    assert!(before == after, "no file was changed");
}

fn names(files: &[(String, Vec<u8>)]) -> Vec<&str> {
    files.iter().map(|(name, _)| name.as_str()).collect()
}

#[test]
fn a_second_server_on_one_directory_is_refused() {
    let server = Server::start();
    let ran = run(mailstead(&["localserve", "--ports", "any", "--dir"]).arg(server.directory()));
    assert_ne!(ran.code, 0);
    assert!(ran.err.contains("in use") || ran.err.contains("already"), "{}", ran.text());
    server.deliver("still", "alive");
    server.check();
}

#[test]
fn ports_in_use_are_all_named() {
    let folder = tempfile::tempdir().expect("a folder");
    let held: Vec<TcpListener> =
        [1025, 1143].iter().filter_map(|port| TcpListener::bind(("127.0.0.1", *port)).ok()).collect();
    // Where something else on this machine has a port, it is in use all the same.
    let ran = run(mailstead(&["localserve", "--dir"]).arg(folder.path().join("data")));
    drop(held);
    assert_ne!(ran.code, 0);
    assert!(ran.err.contains("1025") && ran.err.contains("1143"), "{}", ran.text());
    assert!(!folder.path().join("data").exists(), "nothing was left behind");
}

#[test]
fn a_bad_configuration_is_shown_with_line_and_column() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("mailstead.toml");
    fs::write(&file, "hostnam = \"mail.example.org\"\nmax_message_size = \"big\"\n").expect("the file");
    let ran = run(mailstead(&["serve", "--config"]).arg(&file));
    assert_ne!(ran.code, 0);
    assert!(ran.err.contains("mailstead.toml:1:1"), "{}", ran.text());
    assert!(ran.err.contains("hostname"), "it suggests the right name: {}", ran.text());
    assert_eq!(fs::read_dir(folder.path()).expect("the folder").count(), 1, "nothing else was written");
}

#[test]
fn a_directory_without_rights_is_refused() {
    // Root may write everywhere, but nobody may make a folder below a file.
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("file");
    fs::write(&file, "").expect("a file");
    let ran = run(mailstead(&["localserve", "--ports", "any", "--dir"]).arg(file.join("data")));
    assert_ne!(ran.code, 0);
    assert!(ran.err.contains("data"), "{}", ran.text());
    assert!(!ran.text().contains("panicked"), "{}", ran.text());
}

#[test]
fn a_corrupt_database_is_refused_and_left_alone() {
    let mut server = Server::start();
    server.deliver("one", "text");
    server.stop();
    let database = contents(server.directory()).into_iter().find(|(name, _)| name.ends_with("server.db"));
    let (name, octets) = database.expect("the server's database");
    let mut broken = octets;
    for octet in broken.iter_mut().take(100) {
        *octet ^= 0x5A;
    }
    fs::write(&name, broken).expect("write");
    refused(&server, &["server.db"]);
}

#[test]
fn help_and_version_answer() {
    let version = run(&mut mailstead(&["version"])).success();
    assert!(version.out.starts_with("mailstead "), "{}", version.out);
    let help = run(&mut mailstead(&["--help"])).success();
    for word in ["localserve", "serve", "stop", "account", "store", "version"] {
        assert!(help.out.contains(word), "{}", help.out);
    }
}

#[test]
fn other_addresses_demand_a_password_of_their_own() {
    let folder = tempfile::tempdir().expect("a folder");
    let data = folder.path().join("data");
    let ran = run(mailstead(&["localserve", "--ports", "any", "--ip", "0.0.0.0", "--dir"]).arg(&data));
    assert_ne!(ran.code, 0);
    assert!(ran.err.contains("password"), "{}", ran.text());
    assert!(!data.exists());
}

#[test]
fn the_command_line_works_beside_a_running_server() {
    let server = Server::start();
    let accounts = server.command(&["account", "list"]).success();
    assert!(accounts.out.contains(USER), "{}", accounts.out);
    server.check();
}

#[test]
fn test_behaviours_by_localpart() {
    let server = Server::start();
    for service in ["smtp", "submission"] {
        let mut smtp = server.smtp(service);
        smtp.hello();
        if service == "submission" {
            // "\0you@localhost\0mailstead"
            let reply = smtp.command("AUTH PLAIN AHlvdUBsb2NhbGhvc3QAbWFpbHN0ZWFk").expect("a reply");
            assert!(reply.starts_with("235"), "{reply}");
        }
        let text = "From: <you@localhost>\r\nSubject: behaviour\r\n\r\ntext\r\n";
        for (recipient, code) in
            [("temperror@example.com", "451"), ("permerror@example.com", "550"), ("some556@example.com", "556")]
        {
            let reply = smtp.send(USER, &[recipient], text).expect("a reply");
            assert!(reply.starts_with(code), "{service} {recipient}: {reply}");
            smtp.command("RSET").expect("a reply");
        }
        smtp.command(&format!("MAIL FROM:<{USER}>")).expect("a reply");
        let reply = smtp.command("RCPT TO:<rcptto-permerror@example.com>").expect("a reply");
        assert!(reply.starts_with("550"), "{service}: {reply}");
    }
    server.check();
}
