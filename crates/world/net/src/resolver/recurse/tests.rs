//! The recursor against a small internet in memory, in paused time.

mod behaviour;
mod bounds;
mod property;
mod resolution;
mod world;
