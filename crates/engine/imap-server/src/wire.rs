//! A session's connection: octets in, events out; responses in, octets out. Deadlines, back-pressure and protocol
//! traces are here.
//!
//! Framing and encoding are the wire crate's; what to say is decided elsewhere.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use mailstead_imap::command::Tag;
use mailstead_imap::encode::Mode;
use mailstead_imap::response::StatusResponse;
use mailstead_imap::server::{Event, Limits, Session as Framing};
use mailstead_imap::{Encoder, NameEncoding, Response};
use mailstead_net::Stream;
use mailstead_net::tls::ServerTls;
use mailstead_runtime::Deadline;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::reply::{self, Close, Reply};
use crate::settings::Settings;

/// Output waits in memory up to this size before the client must take it.
const RELIEVE_AT: usize = 32 * 1024;

/// See the module documentation.
#[derive(Debug)]
pub(crate) struct Wire {
    stream: Stream,
    pub(crate) framing: Framing,
    pub(crate) encoder: Encoder,
    input: Vec<u8>,
    settings: Arc<Settings>,
    /// How long the client may take to accept what we send.
    patience: Duration,
}

impl Wire {
    pub(crate) fn new(stream: Stream, limits: Limits, settings: Arc<Settings>) -> Wire {
        let patience = settings.login_timeout;
        let (framing, encoder) = (Framing::new(limits), Encoder::new());
        Wire { stream, framing, encoder, input: vec![0; 8 * 1024], settings, patience }
    }

    /// After login a client may be slow.
    pub(crate) fn be_patient(&mut self) {
        self.patience = self.settings.write_timeout;
    }

    pub(crate) fn stream(&self) -> &Stream {
        &self.stream
    }

    /// Names and quoted strings from now on in UTF-8 (after ENABLE).
    pub(crate) fn use_utf8(&mut self) {
        self.framing.set_names(NameEncoding::Utf8);
        self.encoder.set_mode(Mode { names: NameEncoding::Utf8 });
    }

    /// The next event, before the deadline. Safe to drop and ask again, except in the midst of a literal.
    pub(crate) async fn event(&mut self, deadline: Deadline) -> Result<Event, Close> {
        self.stream.set_read_deadline(deadline);
        loop {
            match self.framing.next_event() {
                Some(Event::ContinueLiteral) => {
                    self.send(&Response::Continue("go on".to_owned()));
                    self.flush().await?;
                }
                Some(event) => return Ok(event),
                None => self.read().await?,
            }
        }
    }

    async fn read(&mut self) -> Result<(), Close> {
        match self.stream.read(&mut self.input).await {
            Ok(0) => Err(Close::Gone(io::ErrorKind::UnexpectedEof.into())),
            Ok(count) => {
                self.framing.feed(&self.input[..count]);
                Ok(())
            }
            Err(error) if error.kind() == io::ErrorKind::TimedOut => Err(Close::Bye(reply::BYE_INACTIVE)),
            Err(error) => Err(Close::Gone(error)),
        }
    }

    /// Writes a response into the buffer.
    pub(crate) fn send(&mut self, response: &Response) {
        tracing::trace!(target: "imap::protocol", ?response, "S");
        self.encoder.response(response);
    }

    /// Asks for more of an AUTHENTICATE exchange. Not traced: challenges belong to the credentials.
    pub(crate) fn continue_with(&mut self, challenge: &[u8]) {
        self.encoder.response(&Response::Continue(STANDARD.encode(challenge)));
    }

    /// Writes an untagged status response.
    pub(crate) fn untagged(&mut self, reply: Reply) {
        self.status(None, reply);
    }

    /// Completes a command.
    pub(crate) fn complete(&mut self, tag: Tag, reply: Reply) {
        self.status(Some(tag), reply);
    }

    pub(crate) fn status(&mut self, tag: Option<Tag>, reply: Reply) {
        let Reply { condition, code, text } = reply;
        self.send(&Response::Status(StatusResponse { tag, condition, code, text }));
    }

    /// Sends what has been written.
    pub(crate) async fn flush(&mut self) -> Result<(), Close> {
        let octets = self.encoder.take();
        if octets.is_empty() {
            return Ok(());
        }
        self.stream.set_write_deadline(Deadline::after(self.patience));
        self.stream.write_all(&octets).await.map_err(Close::Gone)?;
        self.stream.flush().await.map_err(Close::Gone)
    }

    /// Sends what has been written if it has become much.
    pub(crate) async fn relieve(&mut self) -> Result<(), Close> {
        if self.encoder.pending() >= RELIEVE_AT { self.flush().await } else { Ok(()) }
    }

    /// The server's side of a TLS handshake. What the client sent before it in the clear must be nothing (RFC 9051
    /// §6.2.1).
    pub(crate) async fn start_tls(&mut self, tls: &ServerTls) -> Result<(), mailstead_net::Error> {
        let unread = self.framing.take_unread();
        let deadline = Deadline::after(self.settings.handshake_timeout);
        self.stream.start_tls(tls, &unread, deadline).await.map(|_| ())
    }

    /// Ends the connection, after what has been written.
    pub(crate) async fn close(&mut self) {
        // The client may be gone; there is nobody left to tell.
        let _ = self.flush().await;
        self.stream.close(Deadline::after(self.settings.login_timeout)).await;
    }
}
