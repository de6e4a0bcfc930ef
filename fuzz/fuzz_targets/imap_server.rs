//! An IMAP server session with an obliging engine behind it: the same octets give the same events, however they arrive.
#![no_main]

use libfuzzer_sys::fuzz_target;
use mailstead_fuzz::{Trace, cut};
use mailstead_imap::Command;
use mailstead_imap::server::{Event, Limits, Refusal, Session};

fn play<'a>(pieces: impl Iterator<Item = &'a [u8]>) -> Trace {
    let mut limits = Limits::default();
    (limits.line, limits.literal, limits.literals_total, limits.literals_count) = (200, 100, 200, 3);
    limits.discard = 100;
    let mut session = Session::new(limits);
    let mut trace = Trace::default();
    for piece in pieces {
        session.feed(piece);
        while let Some(event) = session.next_event() {
            match &event {
                Event::AppendData(octets) => trace.stream("message", octets),
                event => trace.event(event),
            }
            match event {
                Event::Append(append) => {
                    if append.size > 50 {
                        if session.refuse_append() == Refusal::MustClose {
                            return trace;
                        }
                    } else {
                        session.accept_append();
                    }
                }
                Event::Command(request) => match request.command {
                    Command::Authenticate { .. } => session.expect_authenticate_line(),
                    Command::Idle => session.expect_done(),
                    // What is unread then depends on how it arrived, and must.
                    Command::StartTls | Command::Logout => return trace,
                    _ => {}
                },
                Event::Fatal(_) => return trace,
                _ => {}
            }
        }
    }
    trace
}

fuzz_target!(|data: &[u8]| {
    let (payload, pieces) = cut(data);
    assert_eq!(play(pieces), play(std::iter::once(payload)));
});
