//! Transcripts of framing: every one is fed in one piece, octet by octet, and cut once at every place.

use proptest::prelude::*;

use super::{AuthenticateLine, Event, Limits, Refusal, Session};
use crate::Code;
use crate::command::{AppendForm, Command};

/// How the engine reacts to events.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Appends {
    Accept,
    Refuse,
}

/// Feeds `input` in the given pieces and tells in short what happened.
fn run(pieces: &[&[u8]], limits: &Limits, appends: Appends) -> Vec<String> {
    let mut session = Session::new(limits.clone());
    let mut log: Vec<String> = Vec::new();
    for piece in pieces {
        session.feed(piece);
        while let Some(event) = session.next_event() {
            let entry = match event {
                Event::Command(request) => {
                    match request.command {
                        Command::Idle => session.expect_done(),
                        Command::Authenticate { .. } => session.expect_authenticate_line(),
                        _ => {}
                    }
                    let command = format!("{:?}", request.command);
                    format!("{} {}", request.tag, command.split([' ', '(']).next().unwrap_or_default())
                }
                Event::ContinueLiteral => "+".to_owned(),
                Event::Append(append) => {
                    let form = match append.form {
                        AppendForm::Literal => "",
                        AppendForm::Binary => " binary",
                        AppendForm::Utf8 => " utf8",
                    };
                    let answer = match appends {
                        Appends::Accept if session.accept_append() => "+",
                        Appends::Accept => "go",
                        Appends::Refuse if session.refuse_append() == Refusal::GoesOn => "no",
                        Appends::Refuse => "close",
                    };
                    format!("{} append {}{form}: {answer}", append.tag, append.size)
                }
                // Data may come in any pieces, so the pieces are joined.
                Event::AppendData(octets) => {
                    let text: String = octets.into_iter().map(char::from).collect();
                    match log.last_mut() {
                        Some(last) if last.starts_with("data ") => last.push_str(&text),
                        _ => log.push(format!("data {text}")),
                    }
                    continue;
                }
                Event::AppendEnd => "end".to_owned(),
                Event::AppendFailed(rejection) => {
                    format!("failed {:?} {}", rejection.tag.map(|tag| tag.to_string()), rejection.text)
                }
                Event::AuthenticateLine(AuthenticateLine::Data(data)) => {
                    session.expect_authenticate_line();
                    format!("sasl {}", String::from_utf8_lossy(data.expose()))
                }
                Event::AuthenticateLine(AuthenticateLine::Cancelled) => "sasl cancelled".to_owned(),
                Event::AuthenticateLine(AuthenticateLine::Invalid) => "sasl invalid".to_owned(),
                Event::Done => "done".to_owned(),
                Event::Rejected(rejection) => told("bad", &rejection),
                Event::Fatal(rejection) => told("fatal", &rejection),
            };
            log.push(entry);
        }
    }
    log
}

fn told(kind: &str, rejection: &super::Rejection) -> String {
    let tag = rejection.tag.as_ref().map_or("*", |tag| tag.as_str());
    let code = if rejection.code == Some(Code::TooBig) { " [TOOBIG]" } else { "" };
    format!("{kind} {tag}{code} {}", rejection.text)
}

fn expect_with(limits: &Limits, appends: Appends, input: &[u8], expected: &[&str]) {
    assert_eq!(run(&[input], limits, appends), expected);
    let octets: Vec<&[u8]> = input.chunks(1).collect();
    assert_eq!(run(&octets, limits, appends), expected, "octet by octet");
    for cut in 1..input.len() {
        let (a, b) = input.split_at(cut);
        assert_eq!(run(&[a, b], limits, appends), expected, "cut at {cut}");
    }
}

fn expect(input: &[u8], expected: &[&str]) {
    expect_with(&Limits::default(), Appends::Accept, input, expected);
}

#[test]
fn pipelined_commands() {
    expect(b"a NOOP\r\nb CAPABILITY\r\nc NOOP\r\n", &["a Noop", "b Capability", "c Noop"]);
}

#[test]
fn literals() {
    expect(b"a LOGIN {3}\r\njoe {4}\r\na\r\nb\r\nb NOOP\r\n", &["+", "+", "a Login", "b Noop"]);
    expect(b"a LOGIN {3+}\r\njoe {0+}\r\n\r\nb NOOP\r\n", &["a Login", "b Noop"]);
    // A quoted string may look like a literal in its end.
    expect(b"a LOGIN joe \"{3}\"\r\nb NOOP\r\n", &["a Login", "b Noop"]);
}

#[test]
fn a_literal_is_only_asked_for_if_it_can_help() {
    expect(
        b"a NOOP\r\na LOGIN joe secret {3}\r\nb FOO {3}\r\nc LOGIN (x {3}\r\nd NOOP\r\n",
        &[
            "a Noop",
            "bad a expected the end of the line (CRLF) at octet 18, found a space",
            "bad b unknown command FOO",
            "bad c expected a user name at octet 8, found '('",
            "d Noop",
        ],
    );
}

#[test]
fn an_error_with_a_literal_already_on_its_way_is_the_end() {
    // The literal could hold commands; nobody can know whether they are some.
    expect(b"a NOOP\r\nb FOO {10+}\r\nc LOGOUT\r\n\r\nd NOOP\r\n", &["a Noop", "fatal b unknown command FOO"]);
    // A wrong value in a right grammar is no such case.
    expect(
        b"a DELETE {3+}\r\na&b\r\nb NOOP\r\n",
        &["bad a a mailbox name that is not modified UTF-7 at octet 18", "b Noop"],
    );
}

#[test]
fn appends() {
    expect(
        b"a APPEND x (\\Seen) {5}\r\nhello\r\nb APPEND {1+}\r\nx \"17-Jul-1996 02:44:25 -0700\" {3+}\r\nabc\r\nc NOOP\r\n",
        &["a append 5: +", "data hello", "end", "b append 3: go", "data abc", "end", "c Noop"],
    );
    expect(
        b"a APPEND x UTF8 (~{2}\r\n\xc3\xa9)\r\nb APPEND x ~{3+}\r\na\0b\r\nc NOOP\r\n",
        &["a append 2 utf8: +", "data \u{c3}\u{a9}", "end", "b append 3 binary: go", "data a\0b", "end", "c Noop"],
    );
    expect(b"a APPEND x {0}\r\n\r\nb NOOP\r\n", &["a append 0: +", "end", "b Noop"]);
}

#[test]
fn malformed_appends() {
    expect(
        b"a APPEND x {3}\r\na\0b\r\nb NOOP\r\n",
        &[
            "a append 3: +",
            "data a\0b",
            "failed Some(\"a\") NUL in the message: it must be sent as a binary literal (\"~{\")",
            "b Noop",
        ],
    );
    expect(
        b"a APPEND x {1}\r\na junk\r\nb NOOP\r\n",
        &["a append 1: +", "data a", "failed Some(\"a\") expected the end of the command after the message", "b Noop"],
    );
    expect(
        b"a APPEND x {1}\r\na {1+}\r\nb NOOP\r\n",
        &["a append 1: +", "data a", "fatal a a literal that was not asked for, where none can be"],
    );
    expect(b"a NOOP\r\nb APPEND x\r\n", &["a Noop", "bad b expected a space at octet 10, found the end of the line"]);
    // The flag is wrong, the message that is on its way can be told from commands.
    expect(
        b"a APPEND x (\\Recent) {6+}\r\nb NOOP\r\nc NOOP\r\n",
        &["bad a \\Recent, which only the server sets, at octet 19", "c Noop"],
    );
}

#[test]
fn refused_appends() {
    let limits = Limits { discard: 10, ..Limits::default() };
    let expect = |input: &[u8], expected: &[&str]| expect_with(&limits, Appends::Refuse, input, expected);
    expect(b"a APPEND x {5000000000}\r\nb NOOP\r\n", &["a append 5000000000: no", "b Noop"]);
    expect(b"a APPEND x {6+}\r\nb NOOP\r\nc NOOP\r\n", &["a append 6: no", "c Noop"]);
    expect(b"a APPEND x UTF8 (~{6+}\r\nb NOOP)\r\nc NOOP\r\n", &["a append 6 utf8: no", "c Noop"]);
    expect(b"a APPEND x {11+}\r\nb NOOP\r\nabc\r\n", &["a append 11: close"]);
}

#[test]
fn authenticate_lines() {
    expect(
        b"a AUTHENTICATE SCRAM-SHA-256\r\nb25l\r\n\r\ndHdv\r\n*\r\nb NOOP\r\n",
        &["a Authenticate", "sasl one", "sasl ", "sasl two", "sasl cancelled", "b Noop"],
    );
    expect(b"a AUTHENTICATE PLAIN\r\nb25\r\nb NOOP\r\n", &["a Authenticate", "sasl invalid", "b Noop"]);
}

#[test]
fn idle() {
    expect(b"a IDLE\r\nDONE\r\nb IDLE\r\ndone\r\n", &["a Idle", "done", "b Idle", "done"]);
    expect(b"a IDLE\r\nb NOOP\r\nc NOOP\r\n", &["a Idle", "bad * expected DONE", "c Noop"]);
}

#[test]
fn what_is_not_imap() {
    for input in [
        &b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"[..],
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"\r\n",
        b"* OK hello\r\n",
        b"EHLO client.example\r\n",
    ] {
        expect(input, &["fatal * please try again speaking IMAP"]);
    }
    // Later, and with the shape of a command, it is only an error.
    expect(
        b"a XFOO\r\n\r\n* x\r\nb NOOP\r\n",
        &[
            "bad a unknown command XFOO",
            "bad * expected a tag at octet 0, found the end of the line",
            "bad * expected a tag at octet 0, found '*'",
            "b Noop",
        ],
    );
}

#[test]
fn limits() {
    let limits = Limits { line: 40, literal: 10, literals_total: 15, literals_count: 3, ..Limits::default() };
    let expect = |input: &[u8], expected: &[&str]| expect_with(&limits, Appends::Accept, input, expected);
    let long = "x".repeat(60);
    expect(format!("a DELETE {long}\r\nb NOOP\r\n").as_bytes(), &["bad a [TOOBIG] command line too long", "b Noop"]);
    expect(
        format!("a DELETE {long} {{3}}\r\nb NOOP\r\n").as_bytes(),
        &["bad a [TOOBIG] command line too long", "b Noop"],
    );
    expect(format!("a DELETE {long} {{3+}}\r\nabc\r\n").as_bytes(), &["fatal a [TOOBIG] command line too long"]);
    // The lines of a command count together.
    expect(
        b"a SEARCH TEXT {1+}\r\nx TEXT {1+}\r\nx ANSWERED\r\nb NOOP\r\n",
        &["bad a [TOOBIG] command line too long", "b Noop"],
    );
    expect(b"a LOGIN {11}\r\nb NOOP\r\n", &["bad a [TOOBIG] literals too large or too many", "b Noop"]);
    expect(b"a LOGIN {11+}\r\n12345678901", &["fatal a [TOOBIG] literals too large or too many"]);
    expect(b"a LOGIN {8+}\r\n12345678 {8}\r\nb NOOP\r\n", &["bad a [TOOBIG] literals too large or too many", "b Noop"]);
    expect(b"a OR {1}\r\n", &["bad a unknown command OR"]);
    expect(b"a ID ({1+}\r\nx {1+}\r\nx {1+}\r\nx {1}\r\n", &["bad a [TOOBIG] literals too large or too many"]);
    // No size of a message is too large for the framing.
    expect(b"a APPEND x {9223372036854775807}\r\n", &["a append 9223372036854775807: +"]);
    // A number that is no size cannot be skipped.
    expect(
        b"a NOOP\r\nb DELETE {99999999999999999999+}\r\nc NOOP\r\n",
        &["a Noop", "fatal b [TOOBIG] literals too large or too many"],
    );
    // What stands behind a command has no say in what kind of command it is.
    expect(b"a NOOP\r\nabc){11+}\r\nx APPEND y\r\n", &["a Noop", "fatal abc [TOOBIG] literals too large or too many"]);
    // Nobody waits for the end of an endless line.
    let endless = vec![b'x'; 2_000_000];
    let log = run(&[b"a ", &endless], &limits, Appends::Accept);
    assert_eq!(log, ["fatal a [TOOBIG] command line too long"]);
}

#[test]
fn what_came_before_tls_can_be_taken_away() {
    let mut session = Session::new(Limits::default());
    session.feed(b"a STARTTLS\r\nb LOGIN joe secret\r\n");
    assert!(matches!(session.next_event(), Some(Event::Command(_))));
    assert_eq!(session.take_unread(), b"b LOGIN joe secret\r\n");
    assert!(session.next_event().is_none());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    /// However the octets arrive, the same happens.
    #[test]
    fn any_split_is_the_same(
        commands in proptest::collection::vec(prop_oneof![
            Just("a NOOP\r\n"), Just("b LOGIN {2}\r\nxy {3+}\r\nabc\r\n"), Just("c APPEND i {4}\r\nmail\r\n"),
            Just("d APPEND i {4+}\r\nmail\r\n"), Just("e FETCH (\r\n"), Just("f IDLE\r\nDONE\r\n"), Just("g FOO {3}\r\n"),
            Just("h AUTHENTICATE PLAIN\r\n*\r\n"), Just("{5+}\r\n"), Just("\r\n"), Just("i APPEND i (\\Recent {9+}\r\n"),
        ], 1..6),
        cuts in proptest::collection::vec(0_usize..200, 0..6),
    ) {
        let input = commands.concat().into_bytes();
        let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut % (input.len() + 1)).chain([0, input.len()]).collect();
        cuts.sort_unstable();
        let pieces: Vec<&[u8]> = cuts.windows(2).map(|pair| &input[pair[0]..pair[1]]).collect();
        for appends in [Appends::Accept, Appends::Refuse] {
            prop_assert_eq!(run(&pieces, &Limits::default(), appends), run(&[&input], &Limits::default(), appends));
        }
    }

    #[test]
    fn garbage_is_survived(pieces in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..30), 0..8)) {
        let mut pieces: Vec<&[u8]> = pieces.iter().map(Vec::as_slice).collect();
        pieces.insert(0, b"a ");
        run(&pieces, &Limits { line: 20, discard: 5, ..Limits::default() }, Appends::Accept);
    }
}
