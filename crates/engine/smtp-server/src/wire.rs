//! Octets in and out of one connection, under deadlines and at a pace.

use std::io;
use std::time::Duration;

use mailstead_net::Stream;
use mailstead_runtime::Deadline;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

/// How much is read at once: a message comes in pieces of this size.
const CHUNK: usize = 32 * 1024;
/// What a slow reply may take in all; the rest of it then goes at once.
const SLOW_REPLY: Duration = Duration::from_secs(25);

/// For how many octets a closing connection still listens.
const LINGER_MAX: usize = 1024 * 1024;

/// How fast a client is served.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Pace {
    Normal,
    /// For who guesses passwords: a second before each read and between the octets of a reply.
    Slow,
}

#[derive(Debug)]
pub(crate) struct Wire {
    pub(crate) stream: Stream,
    pub(crate) pace: Pace,
    buffer: Vec<u8>,
}

impl Wire {
    pub(crate) fn new(stream: Stream) -> Wire {
        Wire { stream, pace: Pace::Normal, buffer: vec![0; CHUNK] }
    }

    /// What arrives next. The end of the connection is an error: nobody may leave without QUIT unnoticed.
    pub(crate) async fn read(&mut self, deadline: Deadline) -> io::Result<&[u8]> {
        if self.pace == Pace::Slow {
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
        self.stream.set_read_deadline(deadline);
        match self.stream.read(&mut self.buffer).await? {
            0 => Err(io::ErrorKind::UnexpectedEof.into()),
            count => Ok(&self.buffer[..count]),
        }
    }

    /// Closes. Octets that arrive after our last reply are read and dropped for a moment: closing over unread input
    /// resets the connection, and the peer might never see the reply.
    pub(crate) async fn close(mut self, linger: Duration) {
        let deadline = Deadline::after(linger);
        self.stream.close(deadline).await;
        self.pace = Pace::Normal;
        let mut left = LINGER_MAX;
        while let Ok(octets) = self.read(deadline).await {
            left = left.saturating_sub(octets.len());
            if left == 0 {
                break;
            }
        }
    }

    pub(crate) async fn write(&mut self, octets: &[u8], timeout: Duration) -> io::Result<()> {
        if octets.is_empty() {
            return Ok(());
        }
        self.stream.set_write_deadline(Deadline::after(timeout));
        let mut rest = octets;
        if self.pace == Pace::Slow {
            let enough = Deadline::after(SLOW_REPLY.min(timeout / 2));
            while let Some((first, after)) = rest.split_first()
                && !enough.is_past()
            {
                self.stream.write_all(&[*first]).await?;
                self.stream.flush().await?;
                tokio::time::sleep(Duration::from_secs(1)).await;
                rest = after;
            }
        }
        self.stream.write_all(rest).await?;
        self.stream.flush().await
    }
}
