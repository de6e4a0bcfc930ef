//! The mailstead binary.

fn main() {}
