//! Values in, responses out.
