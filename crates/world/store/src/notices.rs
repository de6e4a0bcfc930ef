//! News that something in an account was committed.
//!
//! A notice is a hint without content: who gets one reads the change log (`Read::changes_since` and the
//! like). So none can be lost or come in the wrong order, and a slow session costs no memory.

use tokio::sync::watch;

use crate::ids::ModSeq;

/// Notices of one account for one session.
#[derive(Debug, Clone)]
pub struct Notices {
    receiver: watch::Receiver<ModSeq>,
}

impl Notices {
    pub(crate) fn new(receiver: watch::Receiver<ModSeq>) -> Self {
        Notices { receiver }
    }

    /// Waits until something was committed since the last call, and gives the account's modseq. Changes
    /// made between two calls are not missed. Never completes after the store is closed.
    pub async fn changed(&mut self) -> ModSeq {
        if self.receiver.changed().await.is_err() {
            std::future::pending::<()>().await;
        }
        *self.receiver.borrow_and_update()
    }
}
