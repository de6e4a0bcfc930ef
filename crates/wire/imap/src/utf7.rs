//! Modified UTF-7.
