//! Tests of header fields.
