//! Scenarios of the queue.
