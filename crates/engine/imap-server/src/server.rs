//! What all sessions share.

use std::sync::Arc;

use mailstead_login::Login;
use mailstead_runtime::{Clock, Shutdown};
use mailstead_store::Store;

use crate::metrics::Metrics;
use crate::settings::Settings;

/// The IMAP server: give it connections with [`Server::serve`].
#[derive(Debug)]
pub struct Server {
    pub(crate) store: Store,
    pub(crate) login: Arc<Login>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) shutdown: Shutdown,
    pub(crate) settings: Arc<Settings>,
    pub(crate) metrics: Arc<Metrics>,
}

impl Server {
    /// A server over this store.
    #[must_use]
    pub fn new(
        store: Store,
        login: Arc<Login>,
        clock: Arc<dyn Clock>,
        shutdown: Shutdown,
        settings: Settings,
        metrics: Arc<Metrics>,
    ) -> Arc<Self> {
        Arc::new(Server { store, login, clock, shutdown, settings: Arc::new(settings), metrics })
    }
}
