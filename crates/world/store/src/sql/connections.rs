//! A bounded number of open connections, whatever the number of accounts.
//!
//! Connections in use are bounded by the threads that use them; idle ones are kept for the next use and
//! closed, least recently used first, when their number passes the limit.

use std::collections::VecDeque;
use std::ops::Deref;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use super::{Connection, Database, Engine};
use crate::error::Result;

/// What a connection is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Access {
    Read,
    Write,
}

struct Idle {
    key: Database,
    access: Access,
    connection: Box<dyn Connection>,
}

/// The connections of a store.
pub(crate) struct Connections {
    engine: Arc<dyn Engine>,
    /// Most recently used last.
    idle: Mutex<VecDeque<Idle>>,
    limit: usize,
    closed: AtomicBool,
}

impl Connections {
    /// Keeps at most `limit` idle connections.
    pub(crate) fn new(engine: Arc<dyn Engine>, limit: usize) -> Self {
        Connections { engine, idle: Mutex::default(), limit, closed: AtomicBool::new(false) }
    }

    pub(crate) fn engine(&self) -> &Arc<dyn Engine> {
        &self.engine
    }

    fn idle(&self) -> std::sync::MutexGuard<'_, VecDeque<Idle>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A connection for one use.
    pub(crate) fn lease(&self, database: Database, access: Access) -> Result<Lease<'_>> {
        let key = self.engine.pool_key(database);
        let kept = {
            let mut idle = self.idle();
            let at = idle.iter().rposition(|idle| idle.key == key && idle.access == access);
            at.and_then(|at| idle.remove(at))
        };
        let connection = match kept {
            Some(kept) => kept.connection,
            None => self.engine.connect(database, access)?,
        };
        Ok(Lease { connections: self, key, access, connection: Some(connection) })
    }

    /// Closes the idle connections to a database.
    pub(crate) fn forget(&self, database: Database) {
        let key = self.engine.pool_key(database);
        let (gone, kept) = self.idle().drain(..).partition(|idle| idle.key == key);
        *self.idle() = kept;
        let gone: VecDeque<Idle> = gone;
        drop(gone);
    }

    /// Closes all idle connections, and from now on each one after its use.
    pub(crate) fn close(&self) {
        self.closed.store(true, Ordering::Release);
        let all = std::mem::take(&mut *self.idle());
        drop(all);
    }
}

/// A connection in use. It goes back when dropped, unless a transaction is left open in it.
pub(crate) struct Lease<'c> {
    connections: &'c Connections,
    key: Database,
    access: Access,
    connection: Option<Box<dyn Connection>>,
}

impl Lease<'_> {
    /// Closes the connection instead of keeping it, after an error that may have broken it.
    pub(crate) fn discard(mut self) {
        self.connection = None;
    }
}

impl Deref for Lease<'_> {
    type Target = dyn Connection;

    fn deref(&self) -> &Self::Target {
        self.connection.as_deref().expect("the connection is there until the lease ends")
    }
}

impl Drop for Lease<'_> {
    fn drop(&mut self) {
        let Some(connection) = self.connection.take() else { return };
        if !connection.is_reusable() {
            return;
        }
        let closed = {
            let mut idle = self.connections.idle();
            idle.push_back(Idle { key: self.key, access: self.access, connection });
            let surplus = idle.len() > self.connections.limit || self.connections.closed.load(Ordering::Acquire);
            if surplus { idle.pop_front() } else { None }
        };
        // Closing may write (a WAL is copied back), so not under the lock.
        drop(closed);
    }
}
