use super::*;
use mailstead_names::{ForwardPath, ReversePath};
use proptest::prelude::*;

/// Plays a transcript: `S:` lines are received in two pieces split at `split`, `C:` lines must be written. Requests are
/// made by `act` at each event; events are returned as text.
fn play(transcript: &str, split: usize, act: &mut dyn FnMut(&mut Session, &Event)) -> Vec<String> {
    let mut session = Session::new(EhloName::parse("client.example"));
    let mut events = Vec::new();
    let mut expected = String::new();
    let mut pump = |session: &mut Session, events: &mut Vec<String>| {
        while let Some(event) = session.next_event() {
            events.push(describe(&event));
            act(session, &event);
        }
    };
    let mut written = String::new();
    for line in transcript.lines().map(str::trim).filter(|line| !line.is_empty()) {
        match line.split_at(3) {
            ("S: ", text) => {
                assert_eq!(written, expected);
                let text = format!("{text}\r\n");
                let (head, tail) = text.as_bytes().split_at(split.min(text.len()));
                session.receive(head);
                pump(&mut session, &mut events);
                session.receive(tail);
                pump(&mut session, &mut events);
            }
            ("C: ", text) => expected.push_str(&format!("{text}\r\n")),
            ("EOF", _) => {
                session.lost("closed");
                pump(&mut session, &mut events);
            }
            _ => panic!("{line}"),
        }
        written.push_str(&String::from_utf8(session.take_output()).unwrap());
    }
    assert_eq!(written, expected);
    events
}

fn describe(event: &Event) -> String {
    match event {
        Event::Finished(outcome) => {
            let recipient = |(to, result): &(ForwardPath, Recipient)| {
                let kind = if result.is_permanent() { "permanent" } else { "temporary" };
                match result {
                    Recipient::Accepted(reply) => format!("{to} accepted {}", reply.code),
                    Recipient::Refused(stage, reply) => format!("{to} {stage:?} {kind} {}", reply.code),
                    Recipient::Failed(_) => format!("{to} failed"),
                    Recipient::NotSent => format!("{to} not sent"),
                }
            };
            format!("Finished[{}]", outcome.recipients.iter().map(recipient).collect::<Vec<_>>().join(", "))
        }
        Event::Failed(error) => format!("Failed: {error}"),
        other => format!("{other:?}"),
    }
}

fn path(text: &str) -> ForwardPath {
    ForwardPath::parse(&format!("<{text}>")).unwrap()
}

fn rcpt(text: &str) -> Rcpt {
    Rcpt::new(path(text))
}

fn mail() -> Mail {
    Mail { size: Some(9), ..Mail::new(ReversePath::parse("<a@client.example>").unwrap()) }
}

/// One message to `recipients`, then QUIT; whatever the server does.
fn deliver(transcript: &str, recipients: &[&str]) -> Vec<String> {
    let run = |split| {
        play(transcript, split, &mut |session, event| match event {
            Event::Ready => session.transact(mail(), recipients.iter().map(|to| rcpt(to)).collect()).unwrap(),
            Event::SendMessage => {
                session.message(b".hi\r\n").unwrap();
                session.end_of_message().unwrap();
            }
            Event::Finished(outcome) if !outcome.closing => session.quit().unwrap(),
            _ => {}
        })
    };
    let whole = run(usize::MAX);
    (0..40).for_each(|split| assert_eq!(run(split), whole, "split at {split}"));
    whole
}

const GREETING: &str = "S: 220 mx.example ESMTP\nC: EHLO client.example\n";

#[test]
fn without_pipelining_one_command_at_a_time() {
    let events = deliver(
        &format!(
            "{GREETING}
            S: 250-mx.example
            S: 250-8BITMIME
            S: 250 HELP
            C: MAIL FROM:<a@client.example>
            S: 250 2.1.0 ok
            C: RCPT TO:<b@mx.example>
            S: 550 5.1.1 no such user
            C: RCPT TO:<c@mx.example>
            S: 250 ok
            C: DATA
            S: 354 go on
            C: ..hi
            C: .
            S: 250 2.0.0 queued
            C: QUIT
            S: 221 bye"
        ),
        &["b@mx.example", "c@mx.example"],
    );
    assert_eq!(
        events,
        ["Ready", "SendMessage", "Finished[<b@mx.example> Rcpt permanent 550, <c@mx.example> accepted 250]", "Closed"]
    );
}

#[test]
fn pipelined_envelope_with_size() {
    let events = deliver(
        &format!(
            "{GREETING}
            S: 250-mx.example
            S: 250-SIZE 1000
            S: 250-LIMITS RCPTMAX=2
            S: 250 PIPELINING
            C: MAIL FROM:<a@client.example> SIZE=9
            C: RCPT TO:<b@mx.example>
            C: RCPT TO:<c@mx.example>
            C: DATA
            S: 250 ok
            S: 250 ok
            S: 552 too many recipients
            S: 354 go on
            C: ..hi
            C: .
            S: 451 4.3.0 disk trouble
            C: QUIT
            S: 221 bye"
        ),
        &["b@mx.example", "c@mx.example", "d@mx.example"],
    );
    let finished =
        "Finished[<b@mx.example> Message temporary 451, <c@mx.example> Rcpt temporary 552, <d@mx.example> not sent]";
    assert_eq!(events, ["Ready", "SendMessage", finished, "Closed"]);
}

#[test]
fn data_accepted_without_recipients_gets_a_lone_dot() {
    let events = deliver(
        &format!(
            "{GREETING}
            S: 250-mx.example
            S: 250 PIPELINING
            C: MAIL FROM:<a@client.example>
            C: RCPT TO:<b@mx.example>
            C: DATA
            S: 250 ok
            S: 550 5.1.1 no such user
            S: 354 go on
            C: .
            S: 554 no valid recipients
            C: QUIT
            S: 221 bye"
        ),
        &["b@mx.example"],
    );
    assert_eq!(events, ["Ready", "Finished[<b@mx.example> Rcpt permanent 550]", "Closed"]);
}

#[test]
fn refused_sender_comes_before_what_follows_from_it() {
    let events = deliver(
        &format!(
            "{GREETING}
            S: 250-mx.example
            S: 250 PIPELINING
            C: MAIL FROM:<a@client.example>
            C: RCPT TO:<b@mx.example>
            C: DATA
            S: 451 4.7.1 greylisted
            EOF"
        ),
        &["b@mx.example"],
    );
    assert_eq!(events, ["Ready", "Finished[<b@mx.example> Mail temporary 451]", "Failed: connection lost: closed"]);
}

#[test]
fn hanging_up_after_a_temporary_refusal_means_everybody() {
    for (code, second) in [("421 4.3.2", "Rcpt temporary 421"), ("550 5.1.1", "failed")] {
        let events = deliver(
            &format!(
                "{GREETING}
                S: 250-mx.example
                S: 250 PIPELINING
                C: MAIL FROM:<a@client.example>
                C: RCPT TO:<b@mx.example>
                C: RCPT TO:<c@mx.example>
                C: DATA
                S: 250 ok
                S: {code} no
                EOF"
            ),
            &["b@mx.example", "c@mx.example"],
        );
        assert!(events[1].ends_with(&format!(", <c@mx.example> {second}]")), "{events:?}");
    }
}

#[test]
fn losing_the_connection_after_the_message_is_temporary() {
    let events = deliver(
        &format!(
            "{GREETING}
            S: 250 mx.example
            C: MAIL FROM:<a@client.example>
            S: 250 ok
            C: RCPT TO:<b@mx.example>
            S: 250 ok
            C: DATA
            S: 354 go on
            C: ..hi
            C: .
            EOF"
        ),
        &["b@mx.example"],
    );
    assert_eq!(events[2..], ["Finished[<b@mx.example> failed]", "Failed: connection lost: closed"]);
}

#[test]
fn servers_without_ehlo_get_helo() {
    let events = deliver(
        &format!(
            "{GREETING}
            S: 502 what?
            C: HELO client.example
            S: 250 mx.example
            C: MAIL FROM:<a@client.example>
            S: 550 no
            C: QUIT
            S: 221 bye"
        ),
        &["b@mx.example"],
    );
    assert_eq!(events, ["Ready", "Finished[<b@mx.example> Mail permanent 550]", "Closed"]);
    assert_eq!(deliver("S: 554 go away", &["b@mx.example"]), ["Failed: server refused the session: 554 go away"]);
    assert_eq!(deliver("S: hello", &["b@mx.example"]), ["Failed: malformed reply line \"hello\""]);
}

#[test]
fn an_open_transaction_is_reset_before_the_next() {
    let mut count = 0;
    let transcript = format!(
        "{GREETING}
        S: 250 mx.example
        C: MAIL FROM:<a@client.example>
        S: 250 ok
        C: RCPT TO:<b@mx.example>
        S: 550 no
        C: RSET
        S: 250 ok
        C: MAIL FROM:<a@client.example>
        S: 250 ok
        C: RCPT TO:<b@mx.example>
        S: 550 no"
    );
    play(&transcript, 0, &mut |session, event| {
        if matches!(event, Event::Ready | Event::Finished(_)) && count < 2 {
            count += 1;
            session.transact(mail(), vec![rcpt("b@mx.example")]).unwrap();
        }
    });
}

#[test]
fn starttls_forgets_and_refuses_injection() {
    let transcript = format!("{GREETING}S: 250-mx.example\nS: 250-AUTH PLAIN\nS: 250 STARTTLS\nC: STARTTLS\n");
    let act: &mut dyn FnMut(&mut Session, &Event) = &mut |session, event| match event {
        Event::Ready if session.extensions().contains(&Extension::StartTls) => session.start_tls().unwrap(),
        Event::StartTls => {
            session.tls_established();
            assert_eq!(session.extensions().mechanisms().count(), 0);
            assert_eq!(session.greeting().map(Reply::text).as_deref(), Some("mx.example ESMTP"));
        }
        _ => {}
    };
    let good = format!("{transcript}S: 220 ready\nC: EHLO client.example\nS: 250 mx.example");
    assert_eq!(play(&good, 0, act), ["Ready", "StartTls", "Ready"]);
    let mut session = Session::new(EhloName::parse("client.example"));
    session.receive(b"220 mx\r\n250-mx\r\n250 STARTTLS\r\n");
    while session.next_event().is_some() {}
    session.start_tls().unwrap();
    session.receive(b"220 ready\r\n250 injected\r\n");
    assert!(matches!(session.next_event(), Some(Event::Failed(Error::PlaintextAfterStartTls))));
}

#[test]
fn authentication_frames_challenges() {
    let transcript = format!(
        "{GREETING}
        S: 250-mx.example
        S: 250 AUTH LOGIN PLAIN
        C: AUTH LOGIN
        S: 334 VXNlcm5hbWU6
        C: YQ==
        S: 235 2.7.0 welcome"
    );
    let events = play(&transcript, 5, &mut |session, event| match event {
        Event::Ready => session.authenticate("LOGIN", None).unwrap(),
        Event::Challenge(challenge) => {
            assert_eq!(challenge, b"Username:");
            session.respond(&Secret::new(b"a".to_vec()));
        }
        _ => {}
    });
    assert!(events[2].starts_with("Authenticated"), "{events:?}");
}

#[test]
fn requests_that_cannot_be_met_are_not_sent() {
    let mut session = Session::new(EhloName::parse("client.example"));
    assert_eq!(session.quit(), Err(RequestError::NotIdle));
    session.receive(b"220 mx\r\n250-mx\r\n250 SIZE 8\r\n");
    while session.next_event().is_some() {}
    session.take_output();
    let to = vec![rcpt("b@mx.example")];
    assert_eq!(session.transact(mail(), to.clone()), Err(RequestError::TooLarge { maximum: 8 }));
    assert_eq!(session.transact(mail(), Vec::new()), Err(RequestError::NoRecipients));
    assert_eq!(session.transact(mail(), vec![rcpt("\u{e9}@mx.example")]), Err(RequestError::NotOffered("SMTPUTF8")));
    let eight_bit = Mail { body: Some(Body::EightBitMime), ..Mail::new(ReversePath::Null) };
    assert_eq!(session.transact(eight_bit, to), Err(RequestError::NotOffered("8BITMIME")));
    assert_eq!(session.authenticate("PLAIN", None), Err(RequestError::NotOffered("the mechanism")));
    assert_eq!(session.start_tls(), Err(RequestError::NotOffered("STARTTLS")));
    assert!(session.take_output().is_empty());
}

/// A session that is ready, with a server that offers these.
fn ready(extensions: &str) -> Session {
    let mut session = Session::new(EhloName::parse("client.example"));
    session.receive(format!("220 mx\r\n250-mx\r\n{extensions}250 PIPELINING\r\n").as_bytes());
    while session.next_event().is_some() {}
    session.take_output();
    session
}

fn envelope(session: &mut Session, mail: &Mail, recipient: &Rcpt) -> Result<String, RequestError> {
    session.transact(mail.clone(), vec![recipient.clone()])?;
    Ok(String::from_utf8(session.take_output()).unwrap().replace("\r\n", "\n"))
}

#[test]
fn notification_parameters_are_for_servers_that_offer_dsn() {
    let from = ReversePath::parse("<a@client.example>").unwrap();
    let mail = Mail { ret: Some(crate::Ret::Full), envid: Some("1 2".into()), ..Mail::new(from) };
    let orcpt = Orcpt::parse("utf-8;\u{e9}@mx.example");
    let recipient = Rcpt { notify: Some(crate::Notify::NEVER), orcpt, ..rcpt("b@mx.example") };
    assert_eq!(
        envelope(&mut ready("250-DSN\r\n"), &mail, &recipient).unwrap(),
        "MAIL FROM:<a@client.example> RET=FULL ENVID=1+202\nRCPT TO:<b@mx.example> NOTIFY=NEVER ORCPT=utf-8;\\x{E9}@mx.example\nDATA\n"
    );
    assert_eq!(
        envelope(&mut ready(""), &mail, &recipient).unwrap(),
        "MAIL FROM:<a@client.example>\nRCPT TO:<b@mx.example>\nDATA\n"
    );
    let internationalised = Mail { smtputf8: true, ..mail };
    let written = envelope(&mut ready("250-DSN\r\n250-SMTPUTF8\r\n"), &internationalised, &recipient).unwrap();
    assert!(written.contains("ORCPT=utf-8;\u{e9}@mx.example\n"), "{written}");
}

#[test]
fn requiretls_is_demanded_or_nothing_is_sent() {
    let demanding = Mail { size: None, require_tls: true, ..mail() };
    let mut session = ready("");
    assert_eq!(envelope(&mut session, &demanding, &rcpt("b@mx.example")), Err(RequestError::NotOffered("REQUIRETLS")));
    assert!(session.take_output().is_empty());
    let written = envelope(&mut ready("250-REQUIRETLS\r\n"), &demanding, &rcpt("b@mx.example")).unwrap();
    assert!(written.starts_with("MAIL FROM:<a@client.example> REQUIRETLS\n"), "{written}");
}

#[test]
fn the_pipelined_window_is_bounded() {
    let mut session = Session::new(EhloName::parse("client.example"));
    session.receive(b"220 mx\r\n250-mx\r\n250 PIPELINING\r\n");
    while session.next_event().is_some() {}
    session.take_output();
    let recipients = (0..500).map(|n| rcpt(&format!("r{n}@mx.example"))).collect();
    session.transact(mail(), recipients).unwrap();
    let mut commands = 0;
    loop {
        let output = session.take_output();
        let lines = output.iter().filter(|&&octet| octet == b'\n').count();
        assert!(lines <= 100);
        commands += lines;
        if output.ends_with(b"DATA\r\n") {
            break;
        }
        session.receive(&b"250 ok\r\n".repeat(lines));
        assert!(session.next_event().is_none());
    }
    assert_eq!(commands, 502);
}

proptest! {
    /// Whatever a server says, in whatever pieces, the same happens, and each recipient has a result.
    #[test]
    fn splits_do_not_matter(
        lines in proptest::collection::vec(
            prop_oneof![
                4 => "(220|250|354|451|550|552|421)[ -](PIPELINING|SIZE 5|ok|[245]\\.1\\.1 text)", 1 => "[ -~\r\n\u{e9}]{0,8}",
            ],
            0..12,
        ),
        splits in proptest::collection::vec(0usize..200, 0..4),
    ) {
        let input = lines.join("\r\n").into_bytes();
        let run = |mut cuts: Vec<usize>| {
            let mut session = Session::new(EhloName::parse("client.example"));
            let (mut output, mut events) = (Vec::new(), Vec::new());
            cuts.push(input.len());
            cuts.sort_unstable();
            let mut start = 0;
            for cut in cuts.into_iter().map(|cut| cut.min(input.len())).chain([usize::MAX]) {
                if cut == usize::MAX {
                    session.lost("closed");
                } else {
                    session.receive(&input[start..cut]);
                    start = cut;
                }
                while let Some(event) = session.next_event() {
                    events.push(describe(&event));
                    match event {
                        Event::Ready => session.transact(mail(), vec![rcpt("b@mx.example"), rcpt("c@mx.example")]).unwrap_or(()),
                        Event::SendMessage => {
                            session.message(b"hi\r\n").unwrap();
                            session.end_of_message().unwrap();
                        }
                        Event::Finished(outcome) => prop_assert_eq!(outcome.recipients.len(), 2),
                        _ => {}
                    }
                }
                output.extend(session.take_output());
            }
            Ok((output, events))
        };
        prop_assert_eq!(run(Vec::new())?, run(splits)?);
    }
}
