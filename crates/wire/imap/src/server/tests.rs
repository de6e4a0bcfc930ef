//! Transcripts of framing.
