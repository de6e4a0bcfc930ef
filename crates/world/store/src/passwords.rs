//! Passwords: an argon2id hash for mechanisms that show us the password, SCRAM verifiers for those that
//! do not. What is chosen and why: docs/decisions/0004-password-verifiers.md.
//!
//! Every way to log in is derived from one password when it is set. SCRAM-SHA-256 (RFC 7677) always;
//! SCRAM-SHA-1 (RFC 5802) and CRAM-MD5 (RFC 2195) only where the account asks, as what they keep is worth
//! more to a thief. A login for nobody costs the same time as one for somebody, and the fake SCRAM
//! verifiers shown to it come from a random key of this store, so they stay the same.

use std::num::NonZeroUsize;
use std::thread::available_parallelism;

use argon2::password_hash::PasswordHasher;
use argon2::password_hash::phc::{Output, PasswordHash};
use argon2::{Algorithm, Argon2, Block, Params, Version};
use mailstead_names::Secret;
use mailstead_runtime::BlockingPool;
use mailstead_sasl::{CramMd5Secret, SALT_LEN, ScramHash, ScramVerifier, prepare};

use crate::error::{Error, Result};
use crate::ids::AccountId;
use crate::sql::{Dialect, params};
use crate::store::Store;
use crate::transaction::{Read, Write};

/// argon2id memory in KiB, passes and lanes.
const ARGON2: (u32, u32, u32) = (19 * 1024, 2, 1);
/// Most argon2id runs at once, whatever the number of processors: 19 MiB each.
const MAX_RUNS: usize = 4;
/// More memory than any allocator that we know of keeps for itself.
const ALWAYS_GIVEN_BACK: usize = 33 << 20;
/// Runs that may wait. Each is a connection that waits too, so the listeners' limits come first.
const MAX_WAITING: usize = 1024;

/// Rounds of PBKDF2 in the SCRAM verifiers made by this version, fake ones included. Cyrus SASL, and so mbsync, mutt
/// and Postfix, refuses more than this.
pub const SCRAM_ITERATIONS: u32 = 65_536;

/// Shortest password accepted, in characters.
pub const MIN_PASSWORD: usize = 8;

/// Name of the key for fake verifiers among the server's secrets.
const FAKE_KEY: &str = "fake-verifiers";

/// The tables of this module, for the schema.
pub(crate) fn tables(_: Dialect) -> String {
    "create table passwords (
        account_id bigint not null primary key,
        argon2 text not null,
        set_at bigint not null
     );
     create table verifiers (
        account_id bigint not null,
        mechanism text not null,
        verifier bytea not null,
        primary key (account_id, mechanism)
     );
     create table secrets (
        name text not null primary key,
        value bytea not null
     );"
    .to_owned()
}

/// Verifiers for old clients, which an account may ask for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct WeakVerifiers {
    /// For SCRAM-SHA-1.
    pub scram_sha_1: Keep,
    /// For CRAM-MD5: can be used to log in by whoever steals it.
    pub cram_md5: Keep,
}

/// Whether to keep something.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Keep {
    /// Not kept; that mechanism does not work for the account.
    #[default]
    No,
    /// Kept.
    Yes,
}

/// All that is derived from a password.
struct Derived {
    argon2: String,
    verifiers: Vec<(&'static str, Vec<u8>)>,
}

const CRAM_MD5: &str = "CRAM-MD5";

impl Derived {
    fn from(password: &Secret<String>, weak: WeakVerifiers) -> Result<Self> {
        let scram = |hash| -> Result<_> {
            let verifier = ScramVerifier::derive(hash, password, &random::<SALT_LEN>()?, SCRAM_ITERATIONS);
            Ok((hash.mechanism_name(), verifier.to_text().into_bytes()))
        };
        let mut verifiers = vec![scram(ScramHash::Sha256)?];
        if weak.scram_sha_1 == Keep::Yes {
            verifiers.push(scram(ScramHash::Sha1)?);
        }
        if weak.cram_md5 == Keep::Yes {
            verifiers.push((CRAM_MD5, CramMd5Secret::derive(password.expose()).to_bytes().to_vec()));
        }
        Ok(Derived { argon2: hash(password)?, verifiers })
    }
}

fn hasher() -> Argon2<'static> {
    let (memory, passes, lanes) = ARGON2;
    let params = Params::new(memory, passes, lanes, None).unwrap_or_default();
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
}

fn hash(password: &Secret<String>) -> Result<String> {
    let salt = random::<16>()?;
    let hash = hasher().hash_password_with_salt(password.expose().as_bytes(), &salt);
    hash.map(|hash| hash.to_string()).map_err(|error| Error::Password(error.to_string()))
}

/// Whether the password has this hash, with the parameters that the hash names.
fn matches(password: &Secret<String>, hash: &str) -> Result<bool> {
    let corrupt = || Error::corrupt("a password hash");
    let hash = PasswordHash::new(hash).map_err(|_| corrupt())?;
    let (Some(salt), Some(expected)) = (&hash.salt, &hash.hash) else { return Err(corrupt()) };
    let algorithm = Algorithm::try_from(hash.algorithm.as_str()).map_err(|_| corrupt())?;
    let version = hash.version.map_or(Ok(Version::default()), Version::try_from).map_err(|_| corrupt())?;
    let hasher = Argon2::new(algorithm, version, Params::try_from(&hash).map_err(|_| corrupt())?);
    let mut found = vec![0; expected.len()];
    run(&hasher, password, salt, &mut found).map_err(|_| corrupt())?;
    // Takes the same time wherever they differ.
    Ok(Output::new(&found).map_err(|_| corrupt())? == *expected)
}

/// Spends the time of one verification.
fn spend(password: &Secret<String>) {
    // The result is of no interest, and neither is a failure: nobody is let in either way.
    let _ = run(&hasher(), password, &[0; 16], &mut [0; Params::DEFAULT_OUTPUT_LEN]);
}

/// One run. What it works in is given back to the system when it ends: glibc keeps blocks of up to 32 MiB in its heap once
/// one was freed, and a small piece that comes to live behind such a block keeps all of it (after a few hundred logins,
/// 130 MB instead of 20). So more is asked for than that; what is not used costs nothing.
fn run(hasher: &Argon2<'_>, password: &Secret<String>, salt: &[u8], out: &mut [u8]) -> argon2::Result<()> {
    let blocks = hasher.params().block_count();
    let mut memory = Vec::with_capacity(blocks.max(ALWAYS_GIVEN_BACK / Block::SIZE));
    memory.resize(blocks, Block::default());
    hasher.hash_password_into_with_memory(password.expose().as_bytes(), salt, out, &mut memory)
}

fn random<const N: usize>() -> Result<[u8; N]> {
    let mut octets = [0; N];
    getrandom::fill(&mut octets).map_err(|error| Error::Database(format!("no randomness: {error}")))?;
    Ok(octets)
}

/// The threads for argon2id: no more at once than processors, and never much memory.
pub(crate) fn hashing_pool() -> BlockingPool {
    let processors = available_parallelism().map_or(1, NonZeroUsize::get);
    BlockingPool::new(processors.min(MAX_RUNS), MAX_WAITING)
}

impl Store {
    /// Sets an account's password and derives everything from it; what was derived from the one before is
    /// gone.
    ///
    /// # Errors
    /// [`Error::Password`] when it is too short or cannot be prepared (RFC 8265 §4.2), [`Error::NoAccount`].
    pub async fn set_password(&self, account: AccountId, password: &Secret<String>, weak: WeakVerifiers) -> Result<()> {
        let password = prepare::password(password.expose()).map_err(|error| Error::Password(error.to_string()))?;
        if password.expose().chars().count() < MIN_PASSWORD {
            return Err(Error::Password(format!("shorter than {MIN_PASSWORD} characters")));
        }
        let derived = self.hashing().run(move || Derived::from(&password, weak)).await??;
        self.server_write(move |write| keep(write, account, &derived)).await
    }

    /// Whether this is the account's password. For an account without one, or none at all, it takes as long
    /// and says no.
    pub async fn verify_password(&self, account: Option<AccountId>, password: &Secret<String>) -> Result<bool> {
        let known = match account {
            Some(account) => self.server_read(move |read| password_hash(read, account)).await?,
            None => None,
        };
        // What cannot be prepared cannot have been set; it costs the same.
        let prepared = prepare::password(password.expose()).ok();
        let password = prepared.clone().unwrap_or_else(|| password.clone());
        self.hashing()
            .run(move || match (known, prepared) {
                (Some(hash), Some(_)) => matches(&password, &hash),
                _ => {
                    spend(&password);
                    Ok(false)
                }
            })
            .await?
    }

    /// The verifier for a SCRAM exchange with an account, if one is kept.
    pub async fn scram_verifier(&self, account: AccountId, hash: ScramHash) -> Result<Option<ScramVerifier>> {
        let kept = self.server_read(move |read| verifier(read, account, hash.mechanism_name())).await?;
        let text = kept.map(String::from_utf8).transpose().map_err(|_| Error::corrupt("a SCRAM verifier"))?;
        text.map(|text| ScramVerifier::from_text(&text).map_err(|_| Error::corrupt("a SCRAM verifier"))).transpose()
    }

    /// The verifier to go on with for a user who does not exist or has none: always the same for a name, so
    /// that the exchange tells nothing (RFC 5802 §9).
    pub async fn fake_scram_verifier(&self, username: &str, hash: ScramHash) -> Result<ScramVerifier> {
        let key = self.fake_key().await?;
        Ok(ScramVerifier::fake(hash, &key, username, SCRAM_ITERATIONS))
    }

    /// The secret for CRAM-MD5 with an account, if one is kept.
    pub async fn cram_md5_secret(&self, account: AccountId) -> Result<Option<CramMd5Secret>> {
        let kept = self.server_read(move |read| verifier(read, account, CRAM_MD5)).await?;
        let octets = kept.map(<[u8; 32]>::try_from).transpose().map_err(|_| Error::corrupt("a CRAM-MD5 secret"))?;
        Ok(octets.map(|octets| CramMd5Secret::from_bytes(&octets)))
    }

    /// The secret to go on with for a user who does not exist or has none.
    pub async fn fake_cram_md5_secret(&self, username: &str) -> Result<CramMd5Secret> {
        Ok(CramMd5Secret::fake(&self.fake_key().await?, username))
    }

    /// The random key of this store from which fake verifiers are made; made at the first use.
    async fn fake_key(&self) -> Result<Vec<u8>> {
        let find = "select value from secrets where name = $1";
        if let Some(key) = self.server_read(move |read| read.sql().scalar(find, params![FAKE_KEY])).await? {
            return Ok(key);
        }
        let fresh = random::<32>()?.to_vec();
        self.server_write(move |write| {
            write.sql().execute(
                "insert into secrets (name, value) values ($1, $2) on conflict (name) do nothing",
                params![FAKE_KEY, &fresh],
            )?;
            write.sql().scalar(find, params![FAKE_KEY])?.ok_or_else(|| Error::corrupt("a secret just stored"))
        })
        .await
    }
}

fn keep(write: &mut Write<'_>, account: AccountId, derived: &Derived) -> Result<()> {
    let (sql, now) = (write.sql(), write.now());
    let known: Option<i64> = sql.scalar("select 1 from accounts where account_id = $1", params![account])?;
    known.ok_or(Error::NoAccount)?;
    forget(write, account)?;
    sql.execute(
        "insert into passwords (account_id, argon2, set_at) values ($1, $2, $3)",
        params![account, &derived.argon2, now],
    )?;
    for (mechanism, verifier) in &derived.verifiers {
        sql.execute(
            "insert into verifiers (account_id, mechanism, verifier) values ($1, $2, $3)",
            params![account, *mechanism, verifier],
        )?;
    }
    Ok(())
}

/// Removes all that was derived from an account's password.
pub(crate) fn forget(write: &mut Write<'_>, account: AccountId) -> Result<()> {
    write.sql().execute("delete from passwords where account_id = $1", params![account])?;
    write.sql().execute("delete from verifiers where account_id = $1", params![account])?;
    Ok(())
}

fn password_hash(read: &Read<'_>, account: AccountId) -> Result<Option<String>> {
    read.sql().scalar("select argon2 from passwords where account_id = $1", params![account])
}

fn verifier(read: &Read<'_>, account: AccountId, mechanism: &str) -> Result<Option<Vec<u8>>> {
    read.sql()
        .scalar("select verifier from verifiers where account_id = $1 and mechanism = $2", params![account, mechanism])
}
