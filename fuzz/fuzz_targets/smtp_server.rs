//! An SMTP server session with an obliging engine behind it: the same octets give the same events and replies, however
//! they arrive.
#![no_main]

use libfuzzer_sys::fuzz_target;
use mailstead_fuzz::{Trace, cut};
use mailstead_smtp::server::{Event, Options, Role, Session, Transcript};
use mailstead_smtp::{Extension, Extensions, Reply, Strictness};

fn play<'a>(pieces: impl Iterator<Item = &'a [u8]>) -> Trace {
    let extensions =
        ["PIPELINING", "SIZE 200", "STARTTLS", "AUTH PLAIN LOGIN", "8BITMIME", "SMTPUTF8", "DSN", "REQUIRETLS"];
    let mut session = Session::new(Options {
        role: Role::Submission,
        strictness: Strictness::Lenient,
        extensions: extensions.into_iter().map(Extension::parse).collect::<Extensions>(),
        size_max: 200,
        recipients_max: 3,
        mark: None,
        transcript: Transcript::Redacted,
    });
    let mut trace = Trace::default();
    session.reply(Reply::plain(220, "ready"));
    trace.stream("output", &session.take_output());
    let mut challenged = false;
    for piece in pieces {
        session.receive(piece);
        while let Some(event) = session.next_event() {
            trace.stream("output", &session.take_output());
            match &event {
                Event::Message(octets) => trace.stream("message", octets),
                event => trace.event(event),
            }
            match event {
                Event::Auth(..) if !challenged => {
                    challenged = true;
                    session.challenge(b"go on");
                }
                Event::Auth(..) | Event::AuthResponse(_) => session.reply(Reply::plain(235, "in")),
                Event::Data => session.reply(Reply::plain(354, "go on")),
                Event::Hello(..) | Event::Mail(_) | Event::Recipient(_) | Event::EndOfMessage(_) => {
                    session.reply(Reply::plain(250, "fine"));
                }
                // What is buffered then depends on how it arrived, and must.
                Event::StartTls | Event::Close => return trace,
                _ => {}
            }
        }
        trace.stream("output", &session.take_output());
    }
    trace
}

fuzz_target!(|data: &[u8]| {
    let (payload, pieces) = cut(data);
    assert_eq!(play(pieces), play(std::iter::once(payload)));
});
