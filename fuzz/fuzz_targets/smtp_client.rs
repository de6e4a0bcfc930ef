//! An SMTP client session against a hostile server: the same octets give the same events, however they arrive, and a
//! transaction always ends with a word on each recipient.
#![no_main]

use libfuzzer_sys::fuzz_target;
use mailstead_fuzz::{Trace, cut};
use mailstead_names::{EhloName, ForwardPath, ReversePath, Secret};
use mailstead_smtp::client::{Event, Session};
use mailstead_smtp::{Mail, Orcpt, Rcpt, Ret};

fn play<'a>(pieces: impl Iterator<Item = &'a [u8]>) -> Trace {
    let mut session = Session::new(EhloName::parse("client.example"));
    let mut trace = Trace::default();
    let mut stage = 0;
    for piece in pieces.map(Some).chain([None]) {
        match piece {
            Some(piece) => session.receive(piece),
            None => session.lost("end"),
        }
        while let Some(event) = session.next_event() {
            trace.stream("output", &session.take_output());
            trace.event(&event);
            match event {
                Event::Challenge(_) => session.respond(&Secret::new(b"secret".to_vec())),
                Event::SendMessage => {
                    session.message(b"Subject: x\r\n\r\n.\r\n").expect("lines end properly");
                    session.end_of_message().expect("lines end properly");
                }
                Event::Finished(outcome) => {
                    assert_eq!(outcome.recipients.len(), 2);
                    let _ = session.quit();
                }
                Event::StartTls | Event::Failed(_) | Event::Closed => return trace,
                _ => {
                    stage += 1;
                    begin(&mut session, stage);
                }
            }
        }
        trace.stream("output", &session.take_output());
    }
    trace
}

/// One thing after the other that the server lets us do.
fn begin(session: &mut Session, stage: u32) {
    let to = ForwardPath::parse("<user@example>").expect("a path");
    let recipient = Rcpt { orcpt: Orcpt::parse("utf-8;\u{e9}@example"), ..Rcpt::new(to) };
    let mail = Mail { size: Some(20), ret: Some(Ret::Full), ..Mail::new(ReversePath::Null) };
    let begun = match stage {
        1 => session.authenticate("PLAIN", None).is_ok(),
        3.. => session.start_tls().is_ok(),
        _ => false,
    };
    if !begun && session.transact(mail, vec![recipient.clone(), recipient]).is_err() {
        let _ = session.quit();
    }
}

fuzz_target!(|data: &[u8]| {
    let (payload, pieces) = cut(data);
    assert_eq!(play(pieces), play(std::iter::once(payload)));
});
