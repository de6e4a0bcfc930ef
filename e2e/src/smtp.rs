//! A plain SMTP client that says what it is told, for the tests that other people's clients cannot be made to do.

use std::io::{self, BufRead, BufReader, Write};
use std::net::TcpStream;
use std::time::Duration;

/// A connection, without TLS.
#[derive(Debug)]
pub struct Smtp {
    stream: BufReader<TcpStream>,
}

impl Smtp {
    /// Connects and reads the greeting.
    pub fn connect(port: u16) -> io::Result<Self> {
        let stream = TcpStream::connect(("127.0.0.1", port))?;
        stream.set_read_timeout(Some(Duration::from_secs(60)))?;
        stream.set_nodelay(true)?;
        let mut smtp = Self { stream: BufReader::new(stream) };
        let greeting = smtp.reply()?;
        if greeting.starts_with("220") { Ok(smtp) } else { Err(io::Error::other(greeting)) }
    }

    /// Reads one reply, all its lines.
    pub fn reply(&mut self) -> io::Result<String> {
        let mut reply = String::new();
        loop {
            let mut line = String::new();
            if self.stream.read_line(&mut line)? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            let last = line.as_bytes().get(3) != Some(&b'-');
            reply.push_str(&line);
            if last {
                return Ok(reply);
            }
        }
    }

    /// Writes octets as they are.
    pub fn write(&mut self, octets: &[u8]) -> io::Result<()> {
        self.stream.get_mut().write_all(octets)
    }

    /// Sends a command line and reads its reply.
    pub fn command(&mut self, line: &str) -> io::Result<String> {
        self.write(format!("{line}\r\n").as_bytes())?;
        self.reply()
    }

    /// EHLO, which must succeed.
    #[track_caller]
    pub fn hello(&mut self) -> String {
        let reply = self.command("EHLO client.example.org").expect("a reply to EHLO");
        assert!(reply.starts_with("250"), "{reply}");
        reply
    }

    /// One message; returns the reply that decided.
    pub fn send(&mut self, from: &str, to: &[&str], message: &str) -> io::Result<String> {
        let reply = self.command(&format!("MAIL FROM:<{from}>"))?;
        if !reply.starts_with('2') {
            return Ok(reply);
        }
        for recipient in to {
            let reply = self.command(&format!("RCPT TO:<{recipient}>"))?;
            if !reply.starts_with('2') {
                return Ok(reply);
            }
        }
        let reply = self.command("DATA")?;
        if !reply.starts_with("354") {
            return Ok(reply);
        }
        let stuffed = message.replace("\r\n.", "\r\n..");
        self.write(stuffed.as_bytes())?;
        self.write(b".\r\n")?;
        self.reply()
    }
}
