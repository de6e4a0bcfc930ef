//! Commands in, values out.
