//! An SMTP (or any line-based) peer that plays a script.
//!
//! A script is written as a transcript: lines with `S:` are what the peer sends, lines with `C:` what it
//! expects from us. `C: *` accepts any line, `C: .` ends a message, `C: <data>` swallows lines up to and
//! including the final dot; `S: <close>` closes.

use mailstead_net::Stream;
use mailstead_net::tls::ServerTls;
use mailstead_runtime::Deadline;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

/// A peer with its side of a connection.
#[derive(Debug)]
pub struct ScriptedPeer {
    stream: Stream,
    unread: Vec<u8>,
    heard: Vec<String>,
}

impl ScriptedPeer {
    /// A peer on this stream.
    #[must_use]
    pub fn new(stream: Stream) -> Self {
        ScriptedPeer { stream, unread: Vec::new(), heard: Vec::new() }
    }

    /// Plays a transcript.
    ///
    /// # Panics
    /// When the other side says something else than the script expects, or goes away.
    pub async fn play(&mut self, script: &str) {
        for step in script.lines().map(str::trim).filter(|step| !step.is_empty()) {
            match step.split_once(": ").or_else(|| step.strip_suffix(':').map(|who| (who, ""))) {
                Some(("S", "<close>")) => self.stream.shutdown().await.expect("the connection can be closed"),
                Some(("S", line)) => self.say(line).await,
                Some(("C", "<data>")) => while self.line().await != "." {},
                Some(("C", "*")) => drop(self.line().await),
                Some(("C", expected)) => assert_eq!(self.line().await, expected),
                _ => panic!("not a line of a script: {step}"),
            }
        }
    }

    /// Sends one line.
    ///
    /// # Panics
    /// When the other side has gone.
    pub async fn say(&mut self, line: &str) {
        self.stream.write_all(format!("{line}\r\n").as_bytes()).await.expect("the other side listens");
        self.stream.flush().await.expect("the other side listens");
    }

    /// The next line, without its ending.
    ///
    /// # Panics
    /// When the connection ends before a whole line.
    pub async fn line(&mut self) -> String {
        loop {
            if let Some(end) = self.unread.windows(2).position(|pair| pair == b"\r\n") {
                let line: Vec<u8> = self.unread.drain(..end + 2).take(end).collect();
                let line = String::from_utf8_lossy(&line).into_owned();
                self.heard.push(line.clone());
                return line;
            }
            let got = self.stream.read_buf(&mut self.unread).await.expect("the other side speaks");
            assert!(got > 0, "the connection ended; unread: {:?}", String::from_utf8_lossy(&self.unread));
        }
    }

    /// All lines heard so far, message data included.
    #[must_use]
    pub fn heard(&self) -> &[String] {
        &self.heard
    }

    /// Takes the server's side of a TLS handshake.
    ///
    /// # Panics
    /// When the handshake fails.
    pub async fn start_tls(&mut self, tls: &ServerTls) {
        self.stream.start_tls(tls, &self.unread, Deadline::NEVER).await.expect("a handshake");
    }

    /// The stream, for what a script cannot say.
    pub fn stream(&mut self) -> &mut Stream {
        &mut self.stream
    }
}
