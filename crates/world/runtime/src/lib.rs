//! What every other crate needs from the machine besides bytes: time, randomness, threads for blocking
//! work, supervised tasks, deadlines and an orderly stop.
//!
//! Nothing here knows mail. Sockets and TLS live in `mailstead-net`, files and databases in
//! `mailstead-store`. The doubles for tests (a clock moved by hand, seeded randomness) live in
//! `mailstead-testkit`, so that no release build can reach them.

#![warn(missing_docs)]

mod clock;
mod deadline;
mod join;
mod pool;
mod random;
mod shutdown;
mod supervisor;

pub use clock::{Clock, SystemClock};
pub use deadline::{Deadline, Expired};
pub use join::join_all;
pub use pool::{BlockingPool, PoolError};
pub use random::{Random, SystemRandom};
pub use shutdown::{Shutdown, ShutdownPhase};
pub use supervisor::{Supervisor, TaskName};

/// A boxed future, the return type of the object-safe asynchronous traits.
pub type BoxFuture<'a, T> = std::pin::Pin<Box<dyn Future<Output = T> + Send + 'a>>;
