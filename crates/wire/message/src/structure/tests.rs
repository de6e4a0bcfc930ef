//! Tests of the scanner and its stored form.
