//! Sends a short message: `cargo run -p mailstead-smtp --example send -- host:port sender recipient...`.
//!
//! Shows how to drive [`Session`] as a client, without TLS and authentication.
#![expect(clippy::print_stdout, reason = "a program for people")]

use std::error::Error;
use std::io::{Read, Write};
use std::net::TcpStream;

use mailstead_names::{EhloName, ForwardPath, ReversePath};
use mailstead_smtp::client::{Event, Session};
use mailstead_smtp::{Mail, Rcpt};

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let (Some(server), Some(sender)) = (arguments.next(), arguments.next()) else {
        return Err("usage: send host:port sender recipient...".into());
    };
    let recipients =
        arguments.map(|to| ForwardPath::parse(&format!("<{to}>")).map(Rcpt::new)).collect::<Result<Vec<_>, _>>()?;
    let message = format!("From: {sender}\r\nSubject: hello\r\n\r\n.dots are stuffed\r\n");

    let mut stream = TcpStream::connect(server)?;
    let mut session = Session::new(EhloName::parse("localhost"));
    let mut buffer = [0; 8192];
    loop {
        while let Some(event) = session.next_event() {
            match event {
                Event::Ready => {
                    let mut mail = Mail::new(ReversePath::parse(&format!("<{sender}>"))?);
                    mail.size = Some(message.len() as u64);
                    session.transact(mail, recipients.clone())?;
                }
                Event::SendMessage => {
                    session.message(message.as_bytes())?;
                    session.end_of_message()?;
                }
                Event::Finished(outcome) => {
                    outcome.recipients.iter().for_each(|(to, result)| println!("{to}: {result:?}"));
                    if !outcome.closing {
                        session.quit()?;
                    }
                }
                Event::Closed => return Ok(()),
                Event::Failed(error) => return Err(error.into()),
                other => return Err(format!("unexpected: {other:?}").into()),
            }
        }
        stream.write_all(&session.take_output())?;
        match stream.read(&mut buffer)? {
            0 => session.lost("closed by the server"),
            count => session.receive(buffer.get(..count).unwrap_or_default()),
        }
    }
}
