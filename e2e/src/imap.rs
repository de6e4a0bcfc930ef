//! A plain IMAP client that says what it is told, line by line.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

/// A connection, without TLS.
#[derive(Debug)]
pub struct Imap {
    stream: BufReader<TcpStream>,
    tag: u32,
}

impl Imap {
    /// Connects and reads the greeting.
    pub fn connect(port: u16) -> io::Result<Self> {
        let stream = TcpStream::connect(("127.0.0.1", port))?;
        stream.set_read_timeout(Some(Duration::from_secs(60)))?;
        stream.set_nodelay(true)?;
        let mut imap = Self { stream: BufReader::new(stream), tag: 0 };
        let greeting = imap.response()?;
        if greeting.starts_with("* OK") { Ok(imap) } else { Err(io::Error::other(greeting)) }
    }

    /// Reads one response with the literals in it, without its line end.
    pub fn response(&mut self) -> io::Result<String> {
        let mut response = Vec::new();
        loop {
            if self.stream.read_until(b'\n', &mut response)? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            match literal(&response) {
                Some(length) => {
                    let start = response.len();
                    response.resize(start + length, 0);
                    self.stream.read_exact(&mut response[start..])?;
                }
                None => return Ok(String::from_utf8_lossy(&response).trim_end().to_owned()),
            }
        }
    }

    /// Writes octets as they are.
    pub fn write(&mut self, octets: &[u8]) -> io::Result<()> {
        self.stream.get_mut().write_all(octets)
    }

    /// Sends a command; returns the untagged responses and the tagged one, without its tag.
    pub fn command(&mut self, command: &str) -> io::Result<(Vec<String>, String)> {
        self.tag += 1;
        let tag = format!("t{}", self.tag);
        self.write(format!("{tag} {command}\r\n").as_bytes())?;
        let mut untagged = Vec::new();
        loop {
            let response = self.response()?;
            match response.strip_prefix(&tag) {
                Some(rest) => return Ok((untagged, rest.trim_start().to_owned())),
                None => untagged.push(response),
            }
        }
    }

    /// Sends a command that must end with OK; returns the untagged responses.
    #[track_caller]
    pub fn ok(&mut self, command: &str) -> Vec<String> {
        let (untagged, tagged) = self.command(command).unwrap_or_else(|error| panic!("{command}: {error}"));
        assert!(tagged.starts_with("OK"), "{command}: {tagged}\n{untagged:?}");
        untagged
    }
}

/// The length of the literal that a line announces at its end, `{123}`.
fn literal(response: &[u8]) -> Option<usize> {
    let line = response.strip_suffix(b"}\r\n")?;
    let open = line.iter().rposition(|octet| *octet == b'{')?;
    std::str::from_utf8(line.get(open + 1..)?).ok()?.parse().ok()
}
