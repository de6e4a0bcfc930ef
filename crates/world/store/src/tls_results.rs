//! What connections showed about TLS, by day and policy, until it has been reported (RFC 8460): rows that the engine
//! encodes and adds up.

use crate::error::{Error, Result};
use crate::queue::Payload;
use crate::sql::{Dialect, Row, params};
use crate::store::Store;
use crate::transaction::Write;

/// Longest payload in octets. The engine bounds what it adds; this is what a mistake of it can fill.
const MAX_PAYLOAD: usize = 4 << 20;

/// The tables of this module, for the schema.
pub(crate) fn tables(_: Dialect) -> String {
    "create table tls_results (
        day bigint not null,
        policy_domain text not null,
        recipient_domain text not null,
        scope text not null,
        causes_report bigint not null,
        version bigint not null,
        payload bytea not null,
        primary key (day, policy_domain, recipient_domain, scope)
     );"
    .to_owned()
}

/// What a row is about.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TlsResultKey {
    /// Days since 1970, in UTC.
    pub day: i64,
    /// The policy domain (RFC 8460 §3), in ASCII.
    pub policy_domain: String,
    /// The domain that mail was for, in ASCII.
    pub recipient_domain: String,
    /// A word of the engine's for whose policy it is.
    pub scope: String,
}

/// A row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredTlsResults {
    /// What it is about.
    pub key: TlsResultKey,
    /// Whether anything in it is a reason for a report.
    pub causes_report: bool,
    /// What the engine encoded, at most 4 MiB.
    pub payload: Payload,
}

impl StoredTlsResults {
    fn of(row: &Row<'_>) -> Result<Self> {
        let key = TlsResultKey {
            day: row.get(0)?,
            policy_domain: row.get(1)?,
            recipient_domain: row.get(2)?,
            scope: row.get(3)?,
        };
        let payload = Payload { version: row.get(5)?, octets: row.get(6)? };
        Ok(StoredTlsResults { key, causes_report: row.get(4)?, payload })
    }
}

/// The rows. Cheap to clone.
#[derive(Debug, Clone)]
pub struct TlsResultStore {
    store: Store,
}

impl Store {
    /// What connections showed about TLS.
    #[must_use]
    pub fn tls_results(&self) -> TlsResultStore {
        TlsResultStore { store: self.clone() }
    }
}

impl TlsResultStore {
    /// Adds rows to those that are there, all or none, by `add` where there is one already: the payload there is, the
    /// one to be added, and their sum, or `None` to leave the row alone. Returns after it is on the disk.
    ///
    /// # Errors
    /// [`Error::TooLarge`] for a payload of more than 4 MiB, and the database's own as for any write.
    pub async fn add(
        &self,
        rows: Vec<StoredTlsResults>,
        add: impl Fn(&Payload, &Payload) -> Option<Payload> + Send + Sync + 'static,
    ) -> Result<()> {
        self.store.server_write(move |write| rows.iter().try_for_each(|row| write.add_tls_results(row, &add))).await
    }

    /// The rows behind this one, by day, policy domain, recipient domain and scope; at most `limit` of them.
    pub async fn list(&self, after: Option<TlsResultKey>, limit: usize) -> Result<Vec<StoredTlsResults>> {
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let after = after.unwrap_or_else(|| TlsResultKey {
            day: i64::MIN,
            policy_domain: String::new(),
            recipient_domain: String::new(),
            scope: String::new(),
        });
        self.store
            .server_read(move |read| {
                read.sql().rows(
                    "select day, policy_domain, recipient_domain, scope, causes_report, version, payload
                        from tls_results where (day, policy_domain, recipient_domain, scope) > ($1, $2, $3, $4)
                        order by day, policy_domain, recipient_domain, scope limit $5",
                    params![after.day, &after.policy_domain, &after.recipient_domain, &after.scope, limit],
                    StoredTlsResults::of,
                )
            })
            .await
    }

    /// Removes the rows of days before this one. Says how many.
    pub async fn remove_before(&self, day: i64) -> Result<u64> {
        let remove = "delete from tls_results where day < $1";
        self.store.server_write(move |write| write.sql().execute(remove, params![day])).await
    }
}

impl Write<'_> {
    fn add_tls_results(
        &mut self,
        row: &StoredTlsResults,
        add: &impl Fn(&Payload, &Payload) -> Option<Payload>,
    ) -> Result<()> {
        let TlsResultKey { day, policy_domain, recipient_domain, scope } = &row.key;
        let sql = self.sql();
        let before = sql.row(
            "select day, policy_domain, recipient_domain, scope, causes_report, version, payload from tls_results
                where day = $1 and policy_domain = $2 and recipient_domain = $3 and scope = $4",
            params![*day, policy_domain, recipient_domain, scope],
            StoredTlsResults::of,
        )?;
        let causes_report = row.causes_report || before.as_ref().is_some_and(|before| before.causes_report);
        let sum = match &before {
            None => row.payload.clone(),
            Some(before) => match add(&before.payload, &row.payload) {
                Some(sum) => sum,
                None => return Ok(()),
            },
        };
        let size = sum.octets.len();
        if size > MAX_PAYLOAD {
            return Err(Error::TooLarge { what: "results for TLS reports", size, most: MAX_PAYLOAD });
        }
        sql.execute(
            "insert into tls_results
                    (day, policy_domain, recipient_domain, scope, causes_report, version, payload)
                values ($1, $2, $3, $4, $5, $6, $7)
                on conflict (day, policy_domain, recipient_domain, scope) do update
                set causes_report = excluded.causes_report, version = excluded.version, payload = excluded.payload",
            params![*day, policy_domain, recipient_domain, scope, causes_report, sum.version, &sum.octets],
        )?;
        Ok(())
    }
}
