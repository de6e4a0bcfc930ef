//! The form in which a message goes to a server: as it is, or converted to 7 bits where the server does not offer
//! 8BITMIME (RFC 6152 §3). `docs/decisions/0015-converting-mail.md` says what is converted.

use std::ops::Range;

use mailstead_message::seven_bit::{Encoder, Obstacle, Piece, Planner, SevenBit};
use mailstead_message::{Limits, Scanner};
use mailstead_smtp::data::BareLineEnding;
use mailstead_smtp::{Body, Extension, Extensions};
use mailstead_store::MessageReader;

use crate::connection::Connection;
use crate::outcome::Failure;

/// Octets read from the store at a time.
const PIECE: u64 = 64 * 1024;

/// What is sent of a message.
#[derive(Debug)]
pub(crate) enum Form {
    /// All of it is ASCII.
    Ascii,
    /// It has octets above 127, and the server takes them.
    EightBit,
    /// It had them.
    Converted(SevenBit),
}

impl Form {
    /// The form that a server takes. Octets above 127 may only be assumed: `eight_bit` is what was once declared.
    ///
    /// # Errors
    /// What it means that the message has no such form, or cannot be read.
    pub(crate) async fn fit(
        message: &MessageReader,
        eight_bit: bool,
        extensions: &Extensions,
    ) -> Result<Form, Failure> {
        if !eight_bit {
            return Ok(Form::Ascii);
        }
        if extensions.contains(&Extension::EightBitMime) {
            return Ok(Form::EightBit);
        }
        let plan = plan(message).await?;
        if plan.is_original() {
            return Ok(Form::Ascii);
        }
        tracing::info!(size = message.size(), converted = plan.size(), "message converted to 7 bits");
        Ok(Form::Converted(plan))
    }

    /// What is declared of it.
    pub(crate) fn body(&self) -> Option<Body> {
        matches!(self, Form::EightBit).then_some(Body::EightBitMime)
    }

    /// Octets of what is sent.
    pub(crate) fn size(&self, message: &MessageReader) -> u64 {
        match self {
            Form::Ascii | Form::EightBit => message.size(),
            Form::Converted(plan) => plan.size(),
        }
    }

    /// Sends it, after the server has asked for it.
    pub(crate) async fn send(&self, connection: &mut Connection, message: &MessageReader) -> Result<(), Failure> {
        match self {
            Form::Ascii | Form::EightBit => send(connection, message, 0..message.size(), None).await?,
            Form::Converted(plan) => {
                for piece in plan.pieces() {
                    match piece {
                        Piece::Original(range) => send(connection, message, range.clone(), None).await?,
                        Piece::Encoded(range, encoding) => {
                            send(connection, message, range.clone(), Some(encoding.encoder())).await?;
                        }
                        Piece::Inserted(fields) => connection.session.message(fields.as_bytes()).map_err(bare)?,
                    }
                }
            }
        }
        connection.session.end_of_message().map_err(bare)
    }
}

/// Reads the message twice: for its structure, and for what is to be changed.
async fn plan(message: &MessageReader) -> Result<SevenBit, Failure> {
    let mut scanner = Scanner::new(Limits::default());
    for range in pieces(0..message.size()) {
        scanner.feed(&read(message, range).await?);
    }
    let structure = scanner.finish();
    let mut planner = Planner::new(&structure);
    for range in pieces(0..message.size()) {
        planner.feed(&read(message, range).await?);
    }
    planner.finish().map_err(given_back)
}

/// Sends octets of the message, encoded or as they are.
async fn send(
    connection: &mut Connection,
    message: &MessageReader,
    range: Range<u64>,
    mut encoder: Option<Encoder>,
) -> Result<(), Failure> {
    let mut encoded = Vec::new();
    for range in pieces(range) {
        let octets = read(message, range).await?;
        let sent = match &mut encoder {
            Some(encoder) => {
                encoded.clear();
                encoder.update(&octets, &mut encoded);
                &encoded
            }
            None => &octets,
        };
        connection.session.message(sent).map_err(bare)?;
        connection.flush().await;
    }
    if let Some(encoder) = encoder {
        encoded.clear();
        encoder.finish(&mut encoded);
        connection.session.message(&encoded).map_err(bare)?;
    }
    Ok(())
}

fn pieces(range: Range<u64>) -> impl Iterator<Item = Range<u64>> {
    let mut at = range.start;
    std::iter::from_fn(move || {
        let start = at;
        at = at.saturating_add(PIECE).min(range.end);
        (start < at).then_some(start..at)
    })
}

/// All octets of a range.
async fn read(message: &MessageReader, range: Range<u64>) -> Result<Vec<u8>, Failure> {
    let wanted = range.end - range.start;
    let octets = message.read(range).await.map_err(|error| {
        tracing::error!(%error, "queued message cannot be read");
        Failure::temporary(3, 0, "The message could not be read")
    })?;
    if octets.len() as u64 != wanted {
        return Err(Failure::temporary(3, 0, "The message ended early"));
    }
    Ok(octets)
}

fn bare(_: BareLineEnding) -> Failure {
    Failure::permanent(6, 0, "The message has bare CR or LF, which SMTP forbids")
}

/// What it means that a message cannot be converted.
fn given_back(obstacle: Obstacle) -> Failure {
    match obstacle {
        // RFC 6531 §3.2: no more than what lacks SMTPUTF8, which includes 8BITMIME (§3.1).
        Obstacle::InternationalHeader => Failure::permanent(
            6,
            7,
            "The server takes ASCII only, and the message has header fields that are not ASCII",
        ),
        // RFC 3463 §3.7: conversion is necessary and not possible.
        Obstacle::Protected => Failure::permanent(
            6,
            3,
            "The server takes 7 bits only, and converting the message would break its signature",
        ),
        _ => Failure::permanent(6, 3, "The server takes 7 bits only, and the message has 8 that cannot be converted"),
    }
}
