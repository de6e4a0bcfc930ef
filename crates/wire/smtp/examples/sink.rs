//! A server that accepts all mail and prints it, one client at a time: `cargo run -p mailstead-smtp --example sink`.
//!
//! Shows how to drive [`Session`]: events until there are none, then output, then input.
#![expect(clippy::print_stdout, reason = "a program for people")]

use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};

use mailstead_names::EnhancedStatus;
use mailstead_smtp::server::{Event, Options, Role, Session, Transcript, reply};
use mailstead_smtp::{Extension, Reply, Strictness};

const SIZE_MAX: u64 = 10_000_000;

fn main() -> io::Result<()> {
    let listener = TcpListener::bind("127.0.0.1:2525")?;
    println!("listening on {}", listener.local_addr()?);
    for stream in listener.incoming() {
        serve(stream?).unwrap_or_else(|error| println!("connection lost: {error}"));
    }
    Ok(())
}

fn serve(mut stream: TcpStream) -> io::Result<()> {
    let extensions =
        [Extension::Pipelining, Extension::Size(Some(SIZE_MAX)), Extension::EightBitMime, Extension::SmtpUtf8];
    let mut session = Session::new(Options {
        role: Role::Transfer,
        strictness: Strictness::Lenient,
        extensions: extensions.into_iter().collect(),
        size_max: SIZE_MAX,
        recipients_max: 100,
        mark: None,
        transcript: Transcript::Off,
    });
    session.reply(Reply::plain(220, "sink.example ESMTP"));
    let mut buffer = [0; 8192];
    loop {
        while let Some(event) = session.next_event() {
            match event {
                Event::Hello(..) => session.reply(Reply::plain(250, "sink.example")),
                Event::Mail(mail) => {
                    println!("from {}", mail.from);
                    session.reply(Reply::new(250, EnhancedStatus::new(2, 1, 0), "sender ok"));
                }
                Event::Recipient(rcpt) => {
                    println!("to {}", rcpt.to);
                    session.reply(Reply::new(250, EnhancedStatus::new(2, 1, 5), "recipient ok"));
                }
                Event::Data => session.reply(reply::start_mail()),
                Event::Message(piece) => io::stdout().write_all(&piece)?,
                Event::EndOfMessage(_) => session.reply(Reply::new(250, EnhancedStatus::new(2, 0, 0), "printed")),
                Event::Close => return stream.write_all(&session.take_output()),
                _ => {}
            }
        }
        stream.write_all(&session.take_output())?;
        let count = stream.read(&mut buffer)?;
        if count == 0 {
            return Ok(());
        }
        session.receive(buffer.get(..count).unwrap_or_default());
    }
}
