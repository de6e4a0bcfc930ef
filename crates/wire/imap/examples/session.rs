//! Reads IMAP commands from standard input and says what they are, answering the literals that are waited for.
//!
//! ```text
//! printf 'a LOGIN {3+}\r\njoe secret\r\nb FETCH 1:* (FLAGS UID)\r\nc NOPE\r\n' | cargo run --example session
//! ```

#![allow(clippy::print_stdout)]

use std::io::{self, Read};

use mailstead_imap::response::{Condition, Response};
use mailstead_imap::server::{Event, Limits, Session};
use mailstead_imap::{Command, Encoder};

fn main() -> io::Result<()> {
    let mut session = Session::new(Limits::default());
    let mut encoder = Encoder::new();
    let mut octets = [0; 1024];
    loop {
        let count = io::stdin().read(&mut octets)?;
        if count == 0 {
            return Ok(());
        }
        session.feed(octets.get(..count).unwrap_or_default());
        while let Some(event) = session.next_event() {
            println!("{event:?}");
            match event {
                Event::Command(request) => {
                    if matches!(request.command, Command::Idle) {
                        session.expect_done();
                    }
                    encoder.response(&Response::tagged(&request.tag, Condition::Ok, None, "understood"));
                }
                Event::ContinueLiteral => encoder.response(&Response::Continue("go on".to_owned())),
                Event::Append(_) => {
                    session.refuse_append();
                }
                Event::Rejected(rejection) | Event::Fatal(rejection) => {
                    let text = rejection.text;
                    encoder.response(&match rejection.tag {
                        Some(tag) => Response::tagged(&tag, Condition::Bad, rejection.code, text),
                        None => Response::untagged(Condition::Bad, rejection.code, text),
                    });
                }
                _ => {}
            }
            print!("{}", String::from_utf8_lossy(&encoder.take()));
        }
    }
}
