//! Accounts, mailboxes, messages, one change log, bodies, search, passwords and keys, queue rows and what is known of
//! refused messages: the only user of a database.
//!
//! Transactions are synchronous closures ([`Account::read`], [`Account::write`]) run on bounded threads, so
//! nothing can wait inside one. Writers of one account that wait at the same time share one transaction and
//! one fsync. The store knows no protocol and no policy: engines keep their own data in it as versioned
//! payloads. SQLite by default, PostgreSQL for those who outgrow a machine: one SQL text for both.

#![warn(missing_docs)]

mod accounts;
mod blobs;
mod changes;
mod check;
mod content;
mod error;
mod facts;
mod flags;
mod ids;
mod lock;
mod logins;
mod mailboxes;
mod messages;
mod notices;
mod passwords;
mod queue;
mod refused;
mod schema;
mod search;
mod sql;
mod stage;
mod store;
mod sts_policies;
mod threads;
mod tls_keys;
mod tls_results;
mod transaction;
mod writer;

pub use accounts::{Account, NewAccount};
pub use blobs::Body;
pub use changes::{Changes, MailboxChanges};
pub use check::{Area, CheckReport, Depth, Orphan, Orphans, Problem};
pub use content::Content;
pub use error::{Error, OpenError, Result};
pub use facts::Facts;
pub use flags::{FlagChange, Flags, SystemFlags};
pub use ids::{AccountId, BlobId, MailboxId, MessageId, ModSeq, ThreadId, Uid, UidSet, UidValidity};
pub use logins::{LoginAttempt, LoginAttempts, LoginOutcome};
pub use mailboxes::{Counts, Mailbox, SpecialUse};
pub use messages::{
    Appended, Delivered, DeliveryId, Detail, FlagsOutcome, MessageContent, MessageReader, MessageRow, MessageState,
    NewMessage, StoredMessage,
};
pub use notices::Notices;
pub use passwords::{Keep, MIN_PASSWORD, SCRAM_ITERATIONS, WeakVerifiers};
pub use queue::{Claim, Listing, NewQueued, NewRecipient, Order, Payload, QueueId, QueueRow, QueueStore, Settlement};
pub use refused::{Refused, RefusedStore, Retention};
pub use search::{TextField, fold};
pub use stage::{Stage, Staged};
pub use store::{Backend, Options, Store};
pub use sts_policies::{StoredStsPolicy, StsPolicyStore};
pub use tls_keys::{ImapPreauth, TlsKey, TlsKeyStore};
pub use tls_results::{StoredTlsResults, TlsResultKey, TlsResultStore};
pub use transaction::{Read, Usage, Write};
