use super::*;
use crate::Limits;
use mailstead_names::EnhancedStatus;
use proptest::prelude::*;

fn options(role: Role) -> Options {
    let mut extensions = vec![
        Extension::Pipelining,
        Extension::Size(Some(100)),
        Extension::EightBitMime,
        Extension::SmtpUtf8,
        Extension::Limits(Limits { rcpt_max: Some(2), ..Limits::default() }),
    ];
    if role == Role::Transfer {
        extensions.push(Extension::StartTls);
    } else {
        extensions.push(Extension::Auth(vec!["LOGIN".into()]));
    }
    Options {
        role,
        strictness: Strictness::Lenient,
        extensions: extensions.into_iter().collect(),
        size_max: 100,
        recipients_max: 2,
        mark: None,
        transcript: Transcript::Off,
    }
}

/// A caller that says yes, except to local part `no`.
#[derive(Default)]
struct Caller {
    messages: Vec<String>,
    current: Vec<u8>,
    log: Vec<String>,
    closed: bool,
}

impl Caller {
    fn act(&mut self, session: &mut Session, event: Event) {
        let ok = || Reply::new(250, EnhancedStatus::new(2, 1, 0), "ok");
        match event {
            Event::Hello(..) => session.reply(Reply::plain(250, "mx.example")),
            Event::Mail(mail) => {
                self.log.push(format!("{mail:?}"));
                session.reply(ok());
            }
            Event::Recipient(rcpt) if rcpt.to.address().is_some_and(|to| to.localpart.as_str() == "no") => {
                session.reply(Reply::new(550, EnhancedStatus::new(5, 1, 1), "no such user"));
            }
            Event::Recipient(rcpt) => {
                if !rcpt.parameters().is_empty() {
                    self.log.push(format!("{rcpt:?}"));
                }
                session.reply(ok());
            }
            Event::Data => session.reply(reply::start_mail()),
            Event::Message(piece) => self.current.extend(piece),
            Event::EndOfMessage(received) => {
                assert_eq!(received.octets, self.current.len() as u64);
                self.messages.push(String::from_utf8(std::mem::take(&mut self.current)).unwrap());
                session.reply(ok());
            }
            Event::MessageRefused(refusal) => {
                self.current.clear();
                self.log.push(format!("{refusal:?}"));
            }
            Event::Auth(mechanism, initial) => match initial {
                Some(initial) => self.log.push(format!("{mechanism} {:?}", initial.expose())),
                None => session.challenge(b"Username:"),
            },
            Event::AuthResponse(response) => {
                let good = response.expose() == b"a";
                session.reply(if good {
                    Reply::new(235, EnhancedStatus::new(2, 7, 0), "welcome")
                } else {
                    Reply::new(535, EnhancedStatus::new(5, 7, 8), "bad credentials")
                });
            }
            Event::StartTls => {
                let buffered = session.take_buffered();
                self.log.push(format!("handshake begins with {:?}", String::from_utf8(buffered).unwrap()));
                session.tls_established(options(Role::Submission).extensions);
            }
            Event::Close => self.closed = true,
            Event::AuthAborted | Event::Reset => {}
        }
    }
}

/// Runs a whole conversation; the client's octets of each flight are split at `split`.
fn run(options: Options, transcript: &str, split: usize) -> Caller {
    let (mut session, mut caller) = (Session::new(options), Caller::default());
    session.reply(Reply::plain(220, "mx.example ESMTP"));
    let mut flight = Vec::new();
    let mut heard = String::new();
    let mut send = |flight: &mut Vec<u8>, heard: &mut String| {
        let (head, tail) = flight.split_at(split.min(flight.len()));
        for piece in [head, tail] {
            session.receive(piece);
            while let Some(event) = session.next_event() {
                caller.act(&mut session, event);
            }
            heard.push_str(&String::from_utf8(session.take_output()).unwrap());
        }
        flight.clear();
    };
    for line in transcript.lines().map(str::trim).filter(|line| !line.is_empty()) {
        match line.split_at(3) {
            ("C: ", text) => {
                assert_eq!(heard, "", "unexpected");
                flight.extend_from_slice(text.replace("\\r", "\r").replace("\\n", "\n").as_bytes());
                flight.extend_from_slice(b"\r\n");
            }
            ("S: ", text) => {
                send(&mut flight, &mut heard);
                let (said, rest) = heard.split_once("\r\n").unwrap_or_else(|| panic!("nothing said; expected {text}"));
                assert_eq!(said, text, "split at {split}");
                heard = rest.to_owned();
            }
            _ => panic!("{line}"),
        }
    }
    send(&mut flight, &mut heard);
    assert_eq!(heard, "");
    caller
}

fn every_split(role: Role, transcript: &str) -> Caller {
    for split in 0..120 {
        let caller = run(options(role), transcript, split);
        if split == 119 {
            return caller;
        }
    }
    unreachable!()
}

const HELLO: &str = "
    S: 220 mx.example ESMTP
    C: HELO client.example
    S: 250 mx.example
";

#[test]
fn a_pipelined_group_is_answered_at_once() {
    let caller = every_split(
        Role::Transfer,
        "S: 220 mx.example ESMTP
        C: EHLO client.example
        S: 250-mx.example
        S: 250-PIPELINING
        S: 250-SIZE 100
        S: 250-8BITMIME
        S: 250-SMTPUTF8
        S: 250-LIMITS RCPTMAX=2
        S: 250 STARTTLS
        C: MAIL FROM:<a@client.example> SIZE=10 BODY=8BITMIME
        C: RCPT TO:<no@mx.example>
        C: RCPT TO:<b@mx.example>
        C: DATA
        S: 250 2.1.0 ok
        S: 550 5.1.1 no such user
        S: 250 2.1.0 ok
        S: 354 send the message, end with a dot on a line
        C: ..hi
        C: .
        C: QUIT
        S: 250 2.1.0 ok
        S: 221 2.0.0 goodbye",
    );
    assert_eq!(caller.messages, [".hi\r\n"]);
    assert!(caller.closed);
}

#[test]
fn output_waits_for_the_last_complete_command() {
    let mut session = Session::new(options(Role::Transfer));
    session.reply(Reply::plain(220, "mx.example ESMTP"));
    session.receive(b"NOOP\r\nNOOP\r\nNOO");
    assert!(session.next_event().is_none());
    assert_eq!(session.take_output(), b"220 mx.example ESMTP\r\n250 2.0.0 ok\r\n250 2.0.0 ok\r\n");
}

#[test]
fn commands_out_of_order() {
    let transcript = "S: 220 mx.example ESMTP
        C: MAIL FROM:<a@client.example>
        S: 503 5.5.1 say EHLO first
        C: HELO client.example
        S: 250 mx.example
        C: RCPT TO:<b@mx.example>
        S: 503 5.5.1 say MAIL first
        C: DATA
        S: 503 5.5.1 say MAIL and RCPT first
        C: AUTH PLAIN
        S: 503 5.5.1 authentication is for submission
        C: MAIL FROM:<>
        S: 250 2.1.0 ok
        C: MAIL FROM:<>
        S: 503 5.5.1 a mail transaction is under way
        C: DATA
        S: 503 5.5.1 say MAIL and RCPT first
        C: RCPT TO:<no@mx.example>
        S: 550 5.1.1 no such user
        C: DATA
        S: 554 5.5.1 no valid recipients
        C: RSET
        S: 250 2.0.0 ok
        C: RCPT TO:<b@mx.example>
        S: 503 5.5.1 say MAIL first
        C: MAIL FROM:<>
        S: 250 2.1.0 ok
        C: EHLO [192.0.2.1] trailing text
        S: 250-mx.example
        S: 250-PIPELINING
        S: 250-SIZE 100
        S: 250-8BITMIME
        S: 250-SMTPUTF8
        S: 250-LIMITS RCPTMAX=2
        S: 250 STARTTLS
        C: RCPT TO:<b@mx.example>
        S: 503 5.5.1 say MAIL first";
    every_split(Role::Transfer, transcript);
}

#[test]
fn answered_without_asking() {
    let transcript = format!(
        "{HELLO}
        C: NOOP
        S: 250 2.0.0 ok
        C: noop \"a b\"
        S: 250 2.0.0 ok
        C: VRFY a
        S: 252 2.7.0 cannot verify, but will try delivery
        C: EXPN a
        S: 252 2.7.0 cannot verify, but will try delivery
        C: VRFY
        S: 501 5.5.2 argument missing
        C: HELP
        S: 214 2.0.0 see RFC 5321
        C: WHAT
        S: 500 5.5.1 unknown command
        C: BDAT 7 LAST
        C: QUIT!
        C: RSET now
        S: 502 5.5.1 command not implemented
        S: 501 5.5.2 command takes no argument"
    );
    // "QUIT!" and its CRLF are the seven octets of the chunk.
    every_split(Role::Transfer, &transcript);
}

#[test]
fn another_protocol_is_sent_away() {
    let transcript = "S: 220 mx.example ESMTP
        C: GET / HTTP/1.1
        C: MAIL FROM:<a@client.example>
        S: 500 5.5.2 please try again speaking smtp";
    assert!(every_split(Role::Transfer, transcript).closed);
}

#[test]
fn long_lines_end_the_session() {
    for (length, answer) in [(2048, "250 2.0.0 ok"), (2049, "500 5.5.0 line too long")] {
        let line = format!("NOOP {}", "a".repeat(length - "NOOP \r\n".len()));
        let caller = run(options(Role::Transfer), &format!("{HELLO}C: {line}\nS: {answer}"), 2048);
        assert_eq!(caller.closed, length > 2048);
    }
    let endless =
        run(options(Role::Transfer), &format!("{HELLO}C: {}\nS: 500 5.5.0 line too long", "a".repeat(9000)), 2100);
    assert!(endless.closed);
}

#[test]
fn parameters_of_mail() {
    for (parameters, answer) in [
        ("SIZE=100", "250 2.1.0 ok"),
        ("SIZE=101", "552 5.3.4 message too large, maximum is 100 octets"),
        ("SIZE=99999999999999999999", "552 5.3.4 message too large, maximum is 100 octets"),
        ("SIZE=999999999999999999999", "501 5.5.4 malformed parameter SIZE"),
        ("SIZE", "501 5.5.4 malformed parameter SIZE"),
        ("SIZE=1 SIZE=1", "501 5.5.4 duplicate parameter SIZE"),
        ("body=7bit smtputf8", "250 2.1.0 ok"),
        ("BODY=BINARYMIME", "555 5.5.4 value of parameter BODY not supported"),
        ("AUTH=<>", "250 2.1.0 ok"),
        ("RET=HDRS", "555 5.3.3 parameter RET not supported"),
        ("REQUIRETLS", "555 5.3.3 parameter REQUIRETLS not supported"),
        ("=", "501 5.5.4 malformed parameter ="),
    ] {
        run(options(Role::Transfer), &format!("{HELLO}C: MAIL FROM:<> {parameters}\nS: {answer}"), 0);
    }
}

#[test]
fn recipients_are_limited_and_parameters_need_their_extension() {
    let transcript = format!(
        "{HELLO}
        C: MAIL FROM:<>
        C: RCPT TO:<a@mx.example> NOTIFY=NEVER
        C: RCPT TO:<Postmaster>
        C: RCPT TO:<b@mx.example>
        C: RCPT TO:<c@mx.example>
        S: 250 2.1.0 ok
        S: 555 5.3.3 parameter NOTIFY not supported
        S: 250 2.1.0 ok
        S: 250 2.1.0 ok
        S: 452 4.5.3 too many recipients"
    );
    every_split(Role::Transfer, &transcript);
}

#[test]
fn parameters_of_dsn_and_requiretls() {
    let extensions = [Extension::Dsn, Extension::RequireTls, Extension::SmtpUtf8].into_iter().collect();
    let options = Options { extensions, ..options(Role::Transfer) };
    let transcript = format!(
        "{HELLO}
        C: MAIL FROM:<> RET=SOME
        C: MAIL FROM:<> ENVID=a ENVID=a
        C: MAIL FROM:<> REQUIRETLS=1
        C: MAIL FROM:<> RET=hdrs ENVID=a+2Bb REQUIRETLS
        C: RCPT TO:<b@mx.example> NOTIFY=NEVER,FAILURE
        C: RCPT TO:<b@mx.example> ORCPT=b@mx.example
        C: RCPT TO:<b@mx.example> NOTIFY=delay ORCPT=rfc822;c@d.example
        S: 501 5.5.4 malformed parameter RET
        S: 501 5.5.4 duplicate parameter ENVID
        S: 501 5.5.4 malformed parameter REQUIRETLS
        S: 250 2.1.0 ok
        S: 501 5.5.4 malformed parameter NOTIFY
        S: 501 5.5.4 malformed parameter ORCPT
        S: 250 2.1.0 ok"
    );
    let caller = run(options, &transcript, 0);
    assert!(caller.log[0].contains("require_tls: true, ret: Some(Headers), envid: Some(\"a+b\")"), "{:?}", caller.log);
    assert!(caller.log[1].contains("delay: true") && caller.log[1].contains("rfc822;c@d.example"), "{:?}", caller.log);
}

#[test]
fn refused_messages_leave_the_session_usable() {
    for (message, answer, refusal) in [
        ("a\\n.\\nb", "500 5.5.2 invalid bare \\r or \\n, may be smtp smuggling", "Smuggling(DotAfterBareLf)"),
        (&"a".repeat(99), "552 5.3.4 message too large, maximum is 100 octets", "TooLarge"),
    ] {
        let transcript = format!(
            "{HELLO}
            C: MAIL FROM:<>
            C: RCPT TO:<b@mx.example>
            C: DATA
            S: 250 2.1.0 ok
            S: 250 2.1.0 ok
            S: 354 send the message, end with a dot on a line
            C: {message}
            C: .
            C: MAIL FROM:<>
            S: {answer}
            S: 250 2.1.0 ok"
        );
        let caller = every_split(Role::Transfer, &transcript);
        assert_eq!(caller.log[1], refusal);
        assert!(caller.messages.is_empty());
    }
}

#[test]
fn endless_data_is_cut_off() {
    let transcript = format!(
        "{HELLO}
        C: MAIL FROM:<>
        C: RCPT TO:<b@mx.example>
        C: DATA
        S: 250 2.1.0 ok
        S: 250 2.1.0 ok
        S: 354 send the message, end with a dot on a line
        C: {}
        S: 552 5.3.4 message too large, maximum is 100 octets",
        "a".repeat(300)
    );
    assert!(run(options(Role::Transfer), &transcript, 50).closed);
}

#[test]
fn starttls_resets_and_ignores_what_came_in_plaintext() {
    let transcript = "S: 220 mx.example ESMTP
        C: HELO client.example
        S: 250 mx.example
        C: MAIL FROM:<>
        S: 250 2.1.0 ok
        C: STARTTLS
        S: 220 2.0.0 ready for TLS
        C: RCPT TO:<b@mx.example>
        S: 503 5.5.1 say MAIL first
        C: MAIL FROM:<>
        S: 503 5.5.1 say EHLO first
        C: STARTTLS
        S: 503 5.5.1 already using TLS";
    every_split(Role::Transfer, transcript);
    // In one packet with STARTTLS, the next command belongs to the handshake.
    let injected =
        "S: 220 mx.example ESMTP\nC: HELO a\nS: 250 mx.example\nC: STARTTLS\nC: NOOP\nS: 220 2.0.0 ready for TLS";
    let caller = run(options(Role::Transfer), injected, 0);
    assert_eq!(caller.log, ["handshake begins with \"NOOP\\r\\n\""]);
    run(options(Role::Submission), "S: 220 mx.example ESMTP\nC: STARTTLS\nS: 503 5.5.1 STARTTLS is not offered", 0);
}

#[test]
fn authentication_before_submission() {
    let transcript = "S: 220 mx.example ESMTP
        C: AUTH LOGIN
        S: 503 5.5.1 say EHLO first
        C: EHLO client.example
        S: 250-mx.example
        S: 250-PIPELINING
        S: 250-SIZE 100
        S: 250-8BITMIME
        S: 250-SMTPUTF8
        S: 250-LIMITS RCPTMAX=2
        S: 250 AUTH LOGIN
        C: MAIL FROM:<a@mx.example>
        S: 530 5.7.0 authentication required
        C: AUTH LOGIN
        S: 334 VXNlcm5hbWU6
        C: *
        S: 501 5.5.0 authentication aborted
        C: AUTH LOGIN
        S: 334 VXNlcm5hbWU6
        C: !
        S: 501 5.5.2 response is not base64
        C: AUTH LOGIN !
        S: 501 5.5.2 initial response is not base64
        C: AUTH LOGIN
        S: 334 VXNlcm5hbWU6
        C: Yg==
        S: 535 5.7.8 bad credentials
        C: MAIL FROM:<a@mx.example>
        S: 530 5.7.0 authentication required
        C: AUTH login
        S: 334 VXNlcm5hbWU6
        C: YQ==
        S: 235 2.7.0 welcome
        C: AUTH LOGIN
        S: 503 5.5.1 already authenticated
        C: STARTTLS
        S: 503 5.5.1 already authenticated
        C: MAIL FROM:<a@mx.example>
        S: 250 2.1.0 ok";
    every_split(Role::Submission, transcript);
}

#[test]
fn clients_that_only_fail_are_sent_away() {
    let attempt = "C: MAIL FROM:<>\nS: 250 2.1.0 ok\nC: RSET\nS: 250 2.0.0 ok\n";
    let transcript = format!("{HELLO}{}C: MAIL FROM:<>\nS: 550 5.1.0 too many failures", attempt.repeat(11));
    assert!(run(options(Role::Transfer), &transcript, 0).closed);
    let success = "C: MAIL FROM:<>\nC: RCPT TO:<a@mx.example>\nC: DATA\nC: .\nS: 250 2.1.0 ok\nS: 250 2.1.0 ok
        S: 354 send the message, end with a dot on a line\nS: 250 2.1.0 ok\n";
    let transcript = format!("{HELLO}{success}{}", attempt.repeat(30));
    assert!(!run(options(Role::Transfer), &transcript, 0).closed);
}

#[test]
fn a_421_ends_the_session() {
    let mut session = Session::new(options(Role::Transfer));
    session.reply(Reply::plain(220, "mx.example ESMTP"));
    session.receive(b"HELO a\r\nNOOP\r\n");
    assert!(matches!(session.next_event(), Some(Event::Hello(..))));
    session.reply(Reply::new(421, EnhancedStatus::new(4, 3, 2), "shutting down"));
    assert!(matches!(session.next_event(), Some(Event::Close)));
    assert!(session.next_event().is_none());
    assert!(session.take_output().ends_with(b"421 4.3.2 shutting down\r\n"));
}

#[test]
fn errors_carry_the_mark() {
    let options = Options { mark: Some("x1".into()), ..options(Role::Transfer) };
    let transcript =
        "S: 220 mx.example ESMTP\nC: NOOP\nS: 250 2.0.0 ok\nC: DATA\nS: 503 5.5.1 say MAIL and RCPT first (x1)
        C: STARTTLS\nS: 220 2.0.0 ready for TLS (x1)";
    run(options, transcript, 0);
}

#[test]
fn pedantic_sessions_want_the_letter() {
    let options = || Options { strictness: Strictness::Pedantic, ..options(Role::Transfer) };
    for (command, code) in [
        ("MAIL FROM: <>", "501 5.5.2 bad path: expected \"<\" at offset 0"),
        ("MAIL FROM:<\u{e9}@client.example>", "553 5.6.7 address needs SMTPUTF8"),
        ("MAIL FROM:<\u{e9}@client.example> SMTPUTF8", "250 2.1.0 ok"),
        ("NOOP\\nNOOP", "500 5.5.2 command must end with CRLF"),
    ] {
        let answer = if command.starts_with("NOOP") { format!("{code}\nS: 250 2.0.0 ok") } else { code.to_owned() };
        run(options(), &format!("{HELLO}C: {command}\nS: {answer}"), 0);
    }
}

#[test]
fn transcripts_hide_credentials_and_messages() {
    let options = Options { transcript: Transcript::Redacted, ..options(Role::Submission) };
    let (mut session, mut caller) = (Session::new(options), Caller::default());
    session.reply(Reply::plain(220, "mx.example ESMTP"));
    session.receive(
        b"EHLO a\r\nAUTH LOGIN\r\nYQ==\r\nAUTH PLAIN c2VjcmV0\r\nMAIL FROM:<>\r\nRCPT TO:<b@c.example>\r\nDATA\r\nsecret\r\n.\r\n",
    );
    while let Some(event) = session.next_event() {
        caller.act(&mut session, event);
    }
    let transcript = session.take_transcript().join("\n");
    assert!(transcript.contains("C: AUTH LOGIN ***\nS: 334 ***\nC: ***\nS: 235"), "{transcript}");
    assert!(transcript.contains("C: AUTH PLAIN ***"), "{transcript}");
    assert!(transcript.contains("C: (8 octets of message)"), "{transcript}");
    assert!(
        !transcript.contains("secret") && !transcript.contains("c2Vj") && !transcript.contains("YQ"),
        "{transcript}"
    );
}

#[test]
fn transcripts_show_what_is_asked_for() {
    for (transcript, credentials, message) in [
        (Transcript::WithCredentials, true, false),
        (Transcript::WithMessages, true, true),
        (Transcript::Off, false, false),
    ] {
        let mut session = Session::new(Options { transcript, ..options(Role::Submission) });
        let mut caller = Caller::default();
        session.reply(Reply::plain(220, "mx.example ESMTP"));
        session.receive(
            b"EHLO a\r\nAUTH LOGIN\r\nYQ==\r\nMAIL FROM:<>\r\nRCPT TO:<b@c.example>\r\nDATA\r\nsecret\r\n.\r\n",
        );
        while let Some(event) = session.next_event() {
            caller.act(&mut session, event);
        }
        let lines = session.take_transcript();
        assert_eq!(lines.contains(&"C: YQ==".to_owned()), credentials);
        assert_eq!(lines.contains(&"C: secret\\r\\n".to_owned()), message);
    }
}

#[test]
fn abandoned_messages_are_read_to_their_end() {
    let mut session = Session::new(options(Role::Transfer));
    session.reply(Reply::plain(220, "mx.example ESMTP"));
    session.receive(b"HELO a\r\nMAIL FROM:<>\r\nRCPT TO:<b@c.example>\r\nDATA\r\nab");
    let mut caller = Caller::default();
    while let Some(event) = session.next_event() {
        let abandon = matches!(event, Event::Message(_));
        caller.act(&mut session, event);
        if abandon {
            session.abandon_message(Reply::new(452, EnhancedStatus::new(4, 3, 1), "disk full"));
        }
    }
    session.take_output();
    session.receive(b"cd\r\n.\r\nNOOP\r\n");
    assert!(matches!(session.next_event(), Some(Event::MessageRefused(Refusal::Abandoned))));
    assert!(session.next_event().is_none());
    assert_eq!(session.take_output(), b"452 4.3.1 disk full\r\n250 2.0.0 ok\r\n");
}

proptest! {
    /// Any input, in any pieces, gives the same output and never panics.
    #[test]
    fn splits_do_not_matter(
        lines in proptest::collection::vec(
            prop_oneof![
                "(EHLO|HELO) [a-z.]{1,6}", "MAIL FROM:<[a-z@.]{0,5}>( [A-Z=]{1,6})?", "RCPT TO:<[a-z]@c.example>", "DATA|RSET|NOOP|\\.",
                "AUTH (LOGIN|PLAIN)( [A-Za-z=]{0,4})?", "[ -~\r\n\u{e9}]{0,8}",
            ],
            0..12,
        ),
        splits in proptest::collection::vec(0usize..200, 0..4),
    ) {
        let input = lines.join("\r\n").into_bytes();
        let run = |mut cuts: Vec<usize>| {
            let (mut session, mut caller) = (Session::new(options(Role::Submission)), Caller::default());
            session.reply(Reply::plain(220, "mx.example ESMTP"));
            let mut output = Vec::new();
            cuts.push(input.len());
            cuts.sort_unstable();
            let mut start = 0;
            for cut in cuts {
                let cut = cut.min(input.len());
                session.receive(&input[start..cut]);
                start = cut;
                while let Some(event) = session.next_event() {
                    if matches!(event, Event::Auth(_, Some(_))) {
                        session.reply(Reply::new(235, EnhancedStatus::new(2, 7, 0), "welcome"));
                    } else {
                        caller.act(&mut session, event);
                    }
                }
                output.extend(session.take_output());
            }
            (output, caller.messages, caller.closed)
        };
        prop_assert_eq!(run(Vec::new()), run(splits));
    }
}
