//! Tests of decoded text.
