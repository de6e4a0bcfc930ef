//! What operators do to the outgoing queue, beside a running server and without one.

use mailstead_e2e::{Server, USER, bounded};
use serde_json::Value;

/// Submits a message; the local parts of the recipients say what becomes of it.
fn submit(server: &Server, recipients: &[&str], body: &str) {
    let mut smtp = server.smtp("submission");
    smtp.hello();
    // "\0you@localhost\0mailstead"
    let reply = smtp.command("AUTH PLAIN AHlvdUBsb2NhbGhvc3QAbWFpbHN0ZWFk").expect("a reply");
    assert!(reply.starts_with("235"), "{reply}");
    let text = format!("From: <{USER}>\r\nSubject: waits\r\n\r\n{body}\r\n");
    let reply = smtp.send(USER, recipients, &text).expect("a reply");
    assert!(reply.starts_with("250"), "{reply}");
}

fn listed(server: &Server, filter: &[&str]) -> Vec<Value> {
    let words = [&["queue", "list", "--json", "--sort", "queued"], filter].concat();
    let out = server.command(&words).success().out;
    out.lines().map(|line| serde_json::from_str(line).expect("an object")).collect()
}

/// Waits until the queue holds so many rows that look like this.
fn await_rows(server: &Server, filter: &[&str], number: usize, wanted: impl Fn(&Value) -> bool) -> Vec<Value> {
    bounded("the queue to be so", || {
        let rows = listed(server, filter);
        (rows.len() == number && rows.iter().all(&wanted)).then_some(rows)
    })
}

fn says(server: &Server, words: &[&str], answer: &str) {
    assert_eq!(server.command(&[&["queue"], words].concat()).success().out.trim_end(), answer);
}

#[test]
fn waiting_messages_are_listed_scheduled_given_up_and_dropped() {
    let mut server = Server::start();
    submit(&server, &["queue-temperror@a.example", "queue-temperror@b.example"], "one");
    submit(&server, &["queue-timeout@c.example"], "two");
    let deferred = |row: &Value| row["attempts"] == 1 && row["under_way"] == false;
    let rows = await_rows(&server, &["--to", "temperror"], 2, deferred);
    assert_eq!(rows[0]["message"], rows[1]["message"]);
    assert_eq!(rows[0]["results"][0]["code"], 451, "{}", rows[0]);
    let stuck = await_rows(&server, &["--to", "@c.example"], 1, |row| row["under_way"] == true).remove(0);

    let words = server.command(&["queue", "list", "--to", "@a.example", "--results"]).success().out;
    assert!(words.contains("tried once") && words.contains("The server answered: 451"), "{words}");
    let dumped = server.command(&["queue", "dump", &rows[0]["id"].to_string()]).success().out;
    assert!(dumped.contains("Subject: waits\r\n") && dumped.ends_with("\r\none\r\n"), "{dumped}");

    says(&server, &["schedule", "--to", "@a.example", "--in", "3d"], "1 of 1 scheduled");
    assert_eq!(listed(&server, &["--next", ">2d"]).len(), 1);
    says(&server, &["schedule", "--to", "@a.example", "--now"], "1 of 1 scheduled");
    await_rows(&server, &["--to", "@a.example"], 1, |row| row["attempts"] == 2 && row["under_way"] == false);

    let refused = server.command(&["queue", "drop"]);
    assert!(refused.code != 0 && refused.err.contains("--all"), "{}", refused.text());
    says(&server, &["fail", "--from", USER, "--to", "@b.example"], "1 of 1 given up, and their senders told");
    server.await_messages("Inbox", 1);
    let left = format!("1 of 2 dropped; left alone, because an attempt is under way: {}", stuck["id"]);
    says(&server, &["drop", "--all"], &left);

    // What a server was about to deliver when it ended can be removed before the next one tries again.
    server.kill();
    says(&server, &["drop", "--to", "@c.example"], "1 of 1 dropped");
    says(&server, &["list"], "nothing waits");
    server.check();
}

#[test]
fn a_message_larger_than_an_answer_is_dumped_with_and_without_a_server() {
    let mut server = Server::start();
    let body = ["0123456789abcde"; 1_200_000].join("\r\n");
    submit(&server, &["queue-temperror@a.example"], &body);
    let id = await_rows(&server, &[], 1, |row| row["attempts"] == 1)[0]["id"].to_string();
    let dumped = server.command(&["queue", "dump", &id]).success().out;
    assert!(dumped.len() > 20_000_000 && dumped.contains("Subject: waits\r\n"), "{} octets", dumped.len());
    assert!(dumped.trim_end().ends_with(&body), "the end is another");
    server.stop();
    assert!(server.command(&["queue", "dump", &id]).success().out == dumped, "another without a server");
}
