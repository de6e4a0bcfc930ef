//! Login attempts, good and bad, for the people whose accounts they are about and for the operator.
//!
//! An attempt like one before only counts: same account, addresses, protocol, mechanism, client and
//! outcome. So a guessing machine fills rows only as fast as it changes its ways, and of those that failed an
//! account keeps the latest `MAX_FAILED`. After `KEPT` without another like it a row is removed.

use std::net::IpAddr;

use jiff::{SignedDuration, Timestamp};
use sha2::{Digest, Sha256};

use crate::error::Result;
use crate::ids::AccountId;
use crate::sql::{Dialect, Row, params};
use crate::store::Store;
use crate::transaction::Write;

/// Different failed attempts kept for an account.
const MAX_FAILED: i64 = 10_000;
/// How long an attempt is kept after it was last seen.
const KEPT: SignedDuration = SignedDuration::from_hours(30 * 24);

/// The tables of this module, for the schema. Attempts on no account have the server's number.
pub(crate) fn tables(dialect: Dialect) -> String {
    let clustered = dialect.clustered();
    format!(
        "create table login_attempts (
            account_id bigint not null,
            likeness bytea not null,
            succeeded bigint not null,
            first_at bigint not null,
            last_at bigint not null,
            count bigint not null,
            login text not null,
            remote_ip text not null,
            local_ip text not null,
            protocol text not null,
            mechanism text not null,
            tls text not null,
            client text not null,
            outcome text not null,
            primary key (account_id, likeness)
         ) {clustered};
         create index login_attempts_last on login_attempts (account_id, succeeded, last_at);
         create index login_attempts_age on login_attempts (last_at);"
    )
}

/// How an attempt ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum LoginOutcome {
    /// Logged in.
    Ok,
    /// No such user.
    UnknownUser,
    /// The password was wrong.
    WrongPassword,
    /// The proof or digest was wrong.
    WrongProof,
    /// The channel binding did not match: perhaps somebody in the middle.
    ChannelBinding,
    /// The exchange was malformed.
    Malformed,
    /// The login is disabled.
    Disabled,
    /// The client gave up.
    Aborted,
    /// We failed.
    Error,
}

impl LoginOutcome {
    const WORDS: [(LoginOutcome, &'static str); 9] = [
        (LoginOutcome::Ok, "ok"),
        (LoginOutcome::UnknownUser, "unknown-user"),
        (LoginOutcome::WrongPassword, "wrong-password"),
        (LoginOutcome::WrongProof, "wrong-proof"),
        (LoginOutcome::ChannelBinding, "channel-binding"),
        (LoginOutcome::Malformed, "malformed"),
        (LoginOutcome::Disabled, "disabled"),
        (LoginOutcome::Aborted, "aborted"),
        (LoginOutcome::Error, "error"),
    ];

    /// A short fixed word for logs, metrics and the database.
    #[must_use]
    pub fn word(self) -> &'static str {
        Self::WORDS.iter().find(|(outcome, _)| *outcome == self).map_or("error", |(_, word)| word)
    }

    fn from_word(word: &str) -> Self {
        Self::WORDS.iter().find(|(_, known)| *known == word).map_or(LoginOutcome::Error, |(outcome, _)| *outcome)
    }
}

/// One attempt to log in. What is not known is the empty string.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoginAttempt {
    /// The account, if the login named one.
    pub account: Option<AccountId>,
    /// The login name as given.
    pub login: String,
    /// The client's address.
    pub remote_ip: IpAddr,
    /// Our address.
    pub local_ip: IpAddr,
    /// Which protocol: `imap`, `submission`.
    pub protocol: String,
    /// The SASL mechanism or `login`.
    pub mechanism: String,
    /// TLS version and cipher suite, and the key that the client has shown.
    pub tls: String,
    /// What the client calls itself.
    pub client: String,
    /// How it ended.
    pub outcome: LoginOutcome,
}

/// Attempts that were alike.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoginAttempts {
    /// What they had in common.
    pub attempt: LoginAttempt,
    /// The first of them.
    pub first: Timestamp,
    /// The last of them.
    pub last: Timestamp,
    /// How many.
    pub count: u64,
}

/// Characters kept of what the client chose.
const MAX_TEXT: usize = 256;

fn cut(text: &str) -> &str {
    text.char_indices().nth(MAX_TEXT).map_or(text, |(end, _)| &text[..end])
}

impl LoginAttempt {
    fn texts(&self) -> [String; 8] {
        [
            cut(&self.login).to_owned(),
            self.remote_ip.to_string(),
            self.local_ip.to_string(),
            cut(&self.protocol).to_owned(),
            cut(&self.mechanism).to_owned(),
            cut(&self.tls).to_owned(),
            cut(&self.client).to_owned(),
            self.outcome.word().to_owned(),
        ]
    }
}

fn likeness(texts: &[String; 8]) -> Vec<u8> {
    let mut hash = Sha256::new();
    for text in texts {
        hash.update((text.len() as u64).to_be_bytes());
        hash.update(text.as_bytes());
    }
    hash.finalize()[..16].to_vec()
}

impl Store {
    /// Records an attempt, or counts it if it is like one before.
    pub async fn record_login(&self, attempt: LoginAttempt) -> Result<()> {
        self.server_write(move |write| record(write, &attempt)).await
    }

    /// The attempts on an account, or on logins that name none, latest first.
    pub async fn login_attempts(&self, account: Option<AccountId>, limit: usize) -> Result<Vec<LoginAttempts>> {
        let number = account.unwrap_or(AccountId::SERVER);
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        self.server_read(move |read| {
            read.sql().rows(
                "select first_at, last_at, count, login, remote_ip, local_ip, protocol, mechanism, tls, client, outcome
                    from login_attempts where account_id = $1 order by last_at desc, likeness limit $2",
                params![number, limit],
                |row| attempts(account, row),
            )
        })
        .await
    }
}

fn record(write: &mut Write<'_>, attempt: &LoginAttempt) -> Result<()> {
    let (sql, now) = (write.sql(), write.now());
    let account = attempt.account.unwrap_or(AccountId::SERVER);
    let succeeded = attempt.outcome == LoginOutcome::Ok;
    let texts = attempt.texts();
    let likeness = likeness(&texts);
    let [login, remote_ip, local_ip, protocol, mechanism, tls, client, outcome] = &texts;
    let alike = sql.execute(
        "update login_attempts set last_at = $3, count = count + 1 where account_id = $1 and likeness = $2",
        params![account, &likeness, now],
    )?;
    if alike > 0 {
        return Ok(());
    }
    sql.execute(
        "insert into login_attempts (account_id, likeness, succeeded, first_at, last_at, count, login, remote_ip,
                local_ip, protocol, mechanism, tls, client, outcome)
            values ($1, $2, $3, $4, $4, 1, $5, $6, $7, $8, $9, $10, $11, $12)",
        params![
            account, &likeness, succeeded, now, login, remote_ip, local_ip, protocol, mechanism, tls, client, outcome
        ],
    )?;
    sql.execute("delete from login_attempts where last_at < $1", params![now - KEPT])?;
    sql.execute(
        "delete from login_attempts where account_id = $1 and succeeded = 0 and last_at <
            (select last_at from login_attempts where account_id = $1 and succeeded = 0
                order by last_at desc limit 1 offset $2)",
        params![account, MAX_FAILED - 1],
    )?;
    Ok(())
}

fn attempts(account: Option<AccountId>, row: &Row<'_>) -> Result<LoginAttempts> {
    let ip = |column| -> Result<IpAddr> {
        let text: String = row.get(column)?;
        text.parse().map_err(|_| crate::error::Error::corrupt("an address of a login attempt"))
    };
    let attempt = LoginAttempt {
        account,
        login: row.get(3)?,
        remote_ip: ip(4)?,
        local_ip: ip(5)?,
        protocol: row.get(6)?,
        mechanism: row.get(7)?,
        tls: row.get(8)?,
        client: row.get(9)?,
        outcome: LoginOutcome::from_word(&row.get::<String>(10)?),
    };
    Ok(LoginAttempts { attempt, first: row.get(0)?, last: row.get(1)?, count: row.get(2)? })
}
