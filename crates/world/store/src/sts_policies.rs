//! The MTA-STS policies of other domains (RFC 8461 §5.1), for whoever fetches and obeys them: kept by domain, whatever
//! they say.

use jiff::Timestamp;

use crate::error::{Error, Result};
use crate::queue::Payload;
use crate::sql::{Dialect, Row, params};
use crate::store::Store;

/// Longest payload in octets: the longest policy that anybody reads, with room for what is noted about it.
const MAX_PAYLOAD: usize = 192 * 1024;

/// The tables of this module, for the schema.
pub(crate) fn tables(_: Dialect) -> String {
    "create table sts_policies (
        domain text not null primary key,
        used_at bigint not null,
        version bigint not null,
        payload bytea not null
     );"
    .to_owned()
}

/// What is kept of a domain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredStsPolicy {
    /// The domain, in ASCII.
    pub domain: String,
    /// When it was last needed.
    pub used: Timestamp,
    /// What the engine encoded, at most 192 KiB.
    pub payload: Payload,
}

impl StoredStsPolicy {
    fn of(row: &Row<'_>) -> Result<Self> {
        let payload = Payload { version: row.get(2)?, octets: row.get(3)? };
        Ok(StoredStsPolicy { domain: row.get(0)?, used: row.get(1)?, payload })
    }
}

/// The MTA-STS policies of other domains. Cheap to clone.
#[derive(Debug, Clone)]
pub struct StsPolicyStore {
    store: Store,
}

impl Store {
    /// The MTA-STS policies of other domains.
    #[must_use]
    pub fn sts_policies(&self) -> StsPolicyStore {
        StsPolicyStore { store: self.clone() }
    }
}

impl StsPolicyStore {
    /// What is kept of a domain.
    pub async fn find(&self, domain: &str) -> Result<Option<StoredStsPolicy>> {
        let domain = domain.to_owned();
        let find = "select domain, used_at, version, payload from sts_policies where domain = $1";
        self.store.server_read(move |read| read.sql().row(find, params![&domain], StoredStsPolicy::of)).await
    }

    /// Keeps this in place of what was there. Returns after it is on the disk.
    ///
    /// # Errors
    /// [`Error::TooLarge`] for a payload of more than 192 KiB, and the database's own as for any write.
    pub async fn put(&self, policy: StoredStsPolicy) -> Result<()> {
        let size = policy.payload.octets.len();
        if size > MAX_PAYLOAD {
            return Err(Error::TooLarge { what: "an MTA-STS policy", size, most: MAX_PAYLOAD });
        }
        self.store
            .server_write(move |write| {
                let StoredStsPolicy { domain, used, payload } = &policy;
                write.sql().execute(
                    "insert into sts_policies (domain, used_at, version, payload) values ($1, $2, $3, $4)
                        on conflict (domain) do update
                        set used_at = excluded.used_at, version = excluded.version, payload = excluded.payload",
                    params![domain, *used, payload.version, &payload.octets],
                )?;
                Ok(())
            })
            .await
    }

    /// Notes that a domain was needed.
    pub async fn touch(&self, domain: &str, used: Timestamp) -> Result<()> {
        let domain = domain.to_owned();
        let touch = "update sts_policies set used_at = $2 where domain = $1";
        self.store.server_write(move |write| write.sql().execute(touch, params![&domain, used]).map(drop)).await
    }

    /// Forgets a domain. Says whether it was there.
    pub async fn remove(&self, domain: &str) -> Result<bool> {
        let domain = domain.to_owned();
        let remove = "delete from sts_policies where domain = $1";
        self.store.server_write(move |write| Ok(write.sql().execute(remove, params![&domain])? > 0)).await
    }

    /// The domains after this one, in the order of their names, at most `limit` of them.
    pub async fn list(&self, after: Option<&str>, limit: usize) -> Result<Vec<StoredStsPolicy>> {
        let (after, limit) = (after.unwrap_or_default().to_owned(), i64::try_from(limit).unwrap_or(i64::MAX));
        let list =
            "select domain, used_at, version, payload from sts_policies where domain > $1 order by domain limit $2";
        self.store.server_read(move |read| read.sql().rows(list, params![&after, limit], StoredStsPolicy::of)).await
    }
}
