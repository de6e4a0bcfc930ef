//! Python's imaplib and IMAPClient: what scripts use, and IDLE that shows a new message at once.

use std::process::Command;

use mailstead_e2e::{PASSWORD, Server, USER, python, run};

fn script(server: &Server, text: &str) {
    let prelude = format!(
        "import ssl, sys, time\nPORT, IMAPS, SMTP, SUBMISSIONS = {}, {}, {}, {}\nUSER, PASSWORD = {USER:?}, {PASSWORD:?}\n\
         TLS = ssl.create_default_context(cafile={:?})\n",
        server.port("imap"),
        server.port("imaps"),
        server.port("smtp"),
        server.port("submissions"),
        server.ca_file(),
    );
    run(Command::new(python()).arg("-c").arg(prelude + text)).success();
}

#[test]
fn imaplib_does_its_round() {
    let server = Server::start();
    script(
        &server,
        r#"
import imaplib
imap = imaplib.IMAP4_SSL("localhost", IMAPS, ssl_context=TLS)
imap.login(USER, PASSWORD)
def ok(answer):
    assert answer[0] == "OK", answer
    return answer[1]
ok(imap.create("Projects/One"))
ok(imap.append("Projects/One", r"(\Flagged)", imaplib.Time2Internaldate(1700000000), b"Subject: kept\r\nMessage-ID: <a@b>\r\n\r\nhello\r\n"))
assert ok(imap.select("Projects/One")) == [b"1"]
data = ok(imap.fetch("1", "(UID FLAGS INTERNALDATE RFC822.SIZE BODY.PEEK[])"))
assert b"RFC822.SIZE 45" in data[0][0] or b"RFC822.SIZE" in data[0][0], data
assert imaplib.Internaldate2tuple(data[0][0]) == time.localtime(1700000000), data
assert data[0][1].endswith(b"hello\r\n")
assert ok(imap.search(None, "FLAGGED", "HEADER", "Message-ID", "<a@b>")) == [b"1"]
ok(imap.copy("1", "INBOX"))
ok(imap.store("1", "+FLAGS", r"(\Deleted)"))
assert ok(imap.expunge()) == [b"1"]
ok(imap.close())
assert ok(imap.select("INBOX", readonly=True)) == [b"1"]
ok(imap.rename("Projects/One", "Projects/Two"))
names = b" ".join(ok(imap.list()))
assert b"Projects/Two" in names and b"Projects/One" not in names, names
ok(imap.delete("Projects/Two"))
imap.logout()
"#,
    );
    server.check();
}

#[test]
fn imapclient_sees_a_new_message_while_idle() {
    let server = Server::start();
    script(
        &server,
        r#"
import smtplib, threading
from imapclient import IMAPClient
with IMAPClient("localhost", port=IMAPS, ssl_context=TLS) as client:
    client.login(USER, PASSWORD)
    client.select_folder("INBOX")
    client.idle()
    def send():
        with smtplib.SMTP("localhost", SMTP) as smtp:
            smtp.sendmail("friend@example.org", [USER], b"Subject: now\r\n\r\nnow\r\n")
    sender = threading.Thread(target=send)
    sender.start()
    start, seen = time.monotonic(), []
    while not any(item[1] == b"EXISTS" for item in seen):
        assert time.monotonic() - start < 20, seen
        seen += client.idle_check(timeout=20)
    sender.join()
    client.idle_done()
    assert (1, b"EXISTS") in seen, seen
    messages = client.fetch(client.search(["UNSEEN"]), ["ENVELOPE", "FLAGS", "BODYSTRUCTURE"])
    (message,) = messages.values()
    assert message[b"ENVELOPE"].subject == b"now", message
    uid = list(messages)[0]
    client.add_flags([uid], [b"\\Seen", b"$Label1"])
    assert b"$label1" in [flag.lower() for flag in client.get_flags([uid])[uid]]
    client.create_folder("Größe & Maße")
    client.move([uid], "Größe & Maße")
    assert client.folder_status("Größe & Maße", ["MESSAGES"])[b"MESSAGES"] == 1
    assert "Größe & Maße" in [name for _, _, name in client.list_folders()]
    special = {flag for flags, _, _ in client.list_folders() for flag in flags}
    assert {b"\\Sent", b"\\Drafts", b"\\Trash", b"\\Junk", b"\\Archive"} <= special, special
"#,
    );
    server.check();
}

#[test]
fn condstore_tells_what_changed() {
    let server = Server::start();
    for number in 0..5 {
        server.deliver(&format!("number {number}"), "text");
    }
    script(
        &server,
        r#"
from imapclient import IMAPClient
with IMAPClient("localhost", port=IMAPS, ssl_context=TLS) as client, IMAPClient("localhost", port=IMAPS, ssl_context=TLS) as other:
    client.login(USER, PASSWORD)
    other.login(USER, PASSWORD)
    before = client.select_folder("INBOX")[b"HIGHESTMODSEQ"]
    other.select_folder("INBOX")
    other.add_flags([2, 4], [b"\\Answered"])
    changed = client.fetch("1:*", ["FLAGS"], modifiers=[f"CHANGEDSINCE {before}"])
    assert sorted(changed) == [2, 4], changed
    assert all(message[b"MODSEQ"][0] > before for message in changed.values()), changed
"#,
    );
}

#[test]
fn smtplib_submits() {
    let server = Server::start();
    script(
        &server,
        r#"
import smtplib
from email.message import EmailMessage
message = EmailMessage()
message["From"], message["To"], message["Subject"] = USER, "friend@example.com", "Grüße"
message.set_content("Ein Text mit Umlauten: äöü\n")
message.add_attachment(bytes(range(256)) * 1000, maintype="application", subtype="octet-stream", filename="daten.bin")
with smtplib.SMTP_SSL("localhost", SUBMISSIONS, context=TLS) as smtp:
    smtp.login(USER, PASSWORD)
    smtp.send_message(message)
"#,
    );
    server.await_messages("INBOX", 1);
    server.check();
}

#[test]
fn smtplib_demands_tls_all_the_way() {
    let mut server = Server::start();
    // In a directory just made, and in one that is there.
    for number in 1..=2 {
        script(
            &server,
            r#"
import smtplib
with smtplib.SMTP_SSL("localhost", SUBMISSIONS, context=TLS) as smtp:
    smtp.login(USER, PASSWORD)
    assert smtp.has_extn("requiretls"), smtp.esmtp_features
    text = b"From: <you@localhost>\r\nSubject: secret\r\n\r\nsecret\r\n"
    smtp.sendmail(USER, ["friend@example.com"], text, mail_options=["REQUIRETLS"])
"#,
        );
        // The next hop is the sandbox itself, which has to believe its own certificate.
        server.await_messages("INBOX", number);
        let mut imap = server.imap();
        imap.ok("SELECT INBOX");
        let message = imap.ok(&format!("FETCH {number} BODY.PEEK[]")).join("\n");
        assert!(message.contains("Delivered-To: friend@example.com"), "a notice is not delivery: {message}");
        assert!(message.contains("Subject: secret"), "{message}");
        server.stop();
        server.restart();
    }
    server.check();
}
