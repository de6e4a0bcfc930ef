//! A receiver for what Postfix does not speak: it offers REQUIRETLS within TLS (RFC 8689 §2), or breaks off where a
//! scenario wants it. It keeps each message with the envelope that came with it.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::{Arc, Mutex, PoisonError};

use rustls::version::{TLS12, TLS13};
use rustls::{ServerConfig, ServerConnection, StreamOwned};

use super::receiver::{Offer, Receiver};
use super::service::Service;

type Messages = Arc<Mutex<Vec<String>>>;

/// The running receivers of this kind.
#[derive(Debug, Default)]
pub struct Scripted {
    messages: Messages,
    services: Vec<Service>,
}

impl Scripted {
    /// Starts those of the receivers that Postfix cannot be.
    #[track_caller]
    pub fn start(receivers: &[Receiver]) -> Self {
        let mut scripted = Self::default();
        for receiver in receivers.iter().filter(|receiver| receiver.offer.postfix().is_none()) {
            let (name, offer) = (receiver.name.clone(), receiver.offer);
            let tls = match offer {
                Offer::RefusesTls12 => receiver.identity.demanding_server(&TLS12),
                Offer::RefusesTls13 => receiver.identity.demanding_server(&TLS13),
                _ => receiver.identity.server(),
            };
            let session = Arc::new((name, offer, tls, Arc::clone(&scripted.messages)));
            for address in &receiver.addresses {
                let session = Arc::clone(&session);
                // What a client does not take, it shows by going away.
                let serve = move |stream| drop(serve(stream, &session.0, session.1, &session.2, &session.3));
                scripted.services.push(Service::start(SocketAddr::new(*address, 25), serve));
            }
        }
        scripted
    }

    /// What was taken so far: a Received field that tells of the TLS, a field `X-Envelope` for each command of the
    /// envelope, and the message.
    pub fn messages(&self) -> Vec<String> {
        self.messages.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// One connection, in clear until STARTTLS.
fn serve(stream: TcpStream, name: &str, offer: Offer, tls: &Arc<ServerConfig>, messages: &Messages) -> io::Result<()> {
    let mut clear = BufReader::new(stream);
    reply(&mut clear, &format!("220 {name} ESMTP"))?;
    while dialogue(&mut clear, name, &["STARTTLS"], messages, "in clear")? == End::StartTls {
        if offer != Offer::Unavailable {
            return secure(clear, name, offer, tls, messages);
        }
        reply(&mut clear, "454 4.7.0 TLS is not available")?;
    }
    Ok(())
}

/// The rest of the connection, after STARTTLS.
fn secure(
    mut clear: BufReader<TcpStream>,
    name: &str,
    offer: Offer,
    tls: &Arc<ServerConfig>,
    messages: &Messages,
) -> io::Result<()> {
    reply(&mut clear, "220 2.0.0 go ahead")?;
    let stream = clear.into_inner();
    if offer == Offer::HangUp {
        return Ok(());
    }
    let connection = ServerConnection::new(Arc::clone(tls)).map_err(io::Error::other)?;
    let mut secured = StreamOwned::new(connection, stream);
    while secured.conn.is_handshaking() {
        // On failure this sends the alert as well. What the client has sent is read to its end: closing before would reset
        // the connection, and it is up to chance whether the client still sees the alert.
        if let Err(error) = secured.conn.complete_io(&mut secured.sock) {
            secured.sock.shutdown(Shutdown::Write)?;
            io::copy(&mut secured.sock, &mut io::sink())?;
            return Err(error);
        }
    }
    let version = secured.conn.protocol_version().and_then(|version| version.as_str().map(str::to_owned));
    let version = format!("using {}", version.unwrap_or_default().replace('_', "."));
    let extensions: &[&str] = if offer == Offer::RequireTls { &["REQUIRETLS"] } else { &[] };
    dialogue(&mut BufReader::new(secured), name, extensions, messages, &version).map(drop)
}

/// How a dialogue ends.
#[derive(Debug, PartialEq, Eq)]
enum End {
    /// With STARTTLS, which is not answered yet.
    StartTls,
    /// With QUIT, or without a word.
    Quit,
}

fn dialogue<S: Read + Write>(
    stream: &mut BufReader<S>,
    name: &str,
    extensions: &[&str],
    messages: &Messages,
    how: &str,
) -> io::Result<End> {
    let mut envelope = String::new();
    loop {
        let mut line = String::new();
        if stream.read_line(&mut line)? == 0 {
            return Ok(End::Quit);
        }
        let line = line.trim_end();
        let verb = line.split([' ', ':']).next().unwrap_or_default().to_ascii_uppercase();
        match verb.as_str() {
            "EHLO" => {
                envelope.clear();
                let offered: Vec<&str> = [&["8BITMIME", "SMTPUTF8"], extensions].concat();
                let (last, others) = offered.split_last().ok_or(io::ErrorKind::InvalidInput)?;
                let others: String = others.iter().map(|word| format!("250-{word}\r\n")).collect();
                reply(stream, &format!("250-{name}\r\n{others}250 {last}"))?;
            }
            "MAIL" | "RCPT" => {
                envelope += &format!("X-Envelope: {line}\r\n");
                reply(stream, "250 2.1.0 ok")?;
            }
            "DATA" => {
                reply(stream, "354 go ahead")?;
                let text = text(stream)?;
                let message = format!("Received: by {name} ({how})\r\n{envelope}{text}");
                messages.lock().unwrap_or_else(PoisonError::into_inner).push(message);
                envelope.clear();
                reply(stream, "250 2.0.0 kept")?;
            }
            "STARTTLS" if extensions.contains(&"STARTTLS") => return Ok(End::StartTls),
            "RSET" | "HELO" => {
                envelope.clear();
                reply(stream, "250 2.0.0 ok")?;
            }
            "NOOP" => reply(stream, "250 2.0.0 ok")?,
            "QUIT" => {
                reply(stream, "221 2.0.0 bye")?;
                return Ok(End::Quit);
            }
            _ => reply(stream, "500 5.5.1 no such command")?,
        }
    }
}

/// The text up to the line with a dot.
fn text<S: Read>(stream: &mut BufReader<S>) -> io::Result<String> {
    let mut octets = Vec::new();
    loop {
        let start = octets.len();
        if stream.read_until(b'\n', &mut octets)? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        if &octets[start..] == b".\r\n" {
            octets.truncate(start);
            return Ok(String::from_utf8_lossy(&octets).into_owned());
        }
        if octets[start] == b'.' {
            octets.remove(start);
        }
    }
}

fn reply<S: Read + Write>(stream: &mut BufReader<S>, line: &str) -> io::Result<()> {
    let stream = stream.get_mut();
    stream.write_all(line.as_bytes())?;
    stream.write_all(b"\r\n")?;
    stream.flush()
}
