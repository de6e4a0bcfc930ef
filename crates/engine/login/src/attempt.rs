//! One attempt, from its first message to its line in the records.

use mailstead_config::LoginState;
use mailstead_sasl::Mechanism;
use mailstead_sasl::server::Success;
use mailstead_store::{LoginAttempt, LoginOutcome};

use crate::authenticator::Peer;
use crate::login::{Known, Login, Recognised, User};
use crate::refusal::{Refusal, Suspicion};

/// How the client shows who it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Means {
    Sasl(Mechanism),
    /// The LOGIN command of IMAP, which is not the mechanism of this name.
    LoginCommand,
    /// A key, before anything was said.
    Preauth,
}

impl Means {
    fn name(self) -> &'static str {
        match self {
            Means::Sasl(mechanism) => mechanism.name(),
            Means::LoginCommand => "login",
            Means::Preauth => "preauth",
        }
    }

    /// Whether it is a key that lets somebody in.
    fn shows_key(self) -> bool {
        matches!(self, Means::Sasl(Mechanism::External) | Means::Preauth)
    }

    fn shows_password(self) -> bool {
        match self {
            Means::Sasl(mechanism) => mechanism.reveals_password(),
            Means::LoginCommand => true,
            Means::Preauth => false,
        }
    }
}

/// What is known so far.
#[derive(Debug)]
pub(crate) struct Attempt {
    means: Means,
    username: String,
    known: Option<Known>,
}

impl Attempt {
    pub(crate) fn new(means: Means) -> Attempt {
        Attempt { means, username: String::new(), known: None }
    }

    /// Finds out whom the user name belongs to.
    pub(crate) async fn identify(&mut self, login: &Login, username: &str) -> mailstead_store::Result<Option<&Known>> {
        username.clone_into(&mut self.username);
        self.known = login.find(username).await?;
        Ok(self.known.as_ref())
    }

    /// Takes note of whom a key belongs to.
    pub(crate) fn recognise(&mut self, Recognised { known, key }: Recognised) {
        self.username = key.login;
        self.known = Some(known);
    }

    /// From good credentials to a user. Only here, where they are known to be good, may the answer depend on the account.
    pub(crate) fn admit(&self, login: &Login, success: &Success) -> Result<User, Refusal> {
        let Some(Known { entry, account }) = &self.known else { return Err(Refusal::Credentials) };
        // Another name of the same account is the same identity.
        let is_own = |name: &String| {
            *name == self.username || login.directory().login(name).is_some_and(|other| other.name == entry.name)
        };
        if !success.authzid.as_ref().is_none_or(is_own) {
            return Err(Refusal::Authorization);
        }
        if let LoginState::Disabled(message) = &entry.login {
            return Err(Refusal::Disabled(message.clone()));
        }
        Ok(User { account: account.clone(), name: entry.name.clone(), username: self.username.clone() })
    }

    /// Counts, logs and records how it ended. Nothing here can change the result.
    pub(crate) async fn conclude(self, login: &Login, peer: &Peer, result: &Result<User, Refusal>) {
        let outcome = self.outcome(result);
        match result.as_ref().map_err(Refusal::suspicion) {
            Ok(_) => login.failures.succeeded(peer.remote),
            Err(Suspicion::Guess) => login.failures.failed(peer.remote),
            Err(Suspicion::Harmless) => {}
        }
        login.metrics.count(peer.protocol, self.means.name(), outcome);
        let (protocol, mechanism, outcome_word) = (peer.protocol, self.means.name(), outcome.word());
        let key = peer.key().filter(|_| self.means.shows_key()).map(tracing::field::display);
        match result {
            Ok(user) => tracing::info!(
                protocol, mechanism, remote = %peer.remote, username = %user.username, account = %user.name, key,
                "logged in"
            ),
            // Tools that block guessers look for these words and this address.
            Err(_) => tracing::info!(
                protocol, mechanism, remote = %peer.remote, username = %self.username, outcome = outcome_word, key,
                "failed authentication attempt"
            ),
        }
        let record = LoginAttempt {
            account: self.known.map(|known| known.account.id()),
            login: self.username,
            remote_ip: peer.remote,
            local_ip: peer.local,
            protocol: protocol.to_owned(),
            mechanism: mechanism.to_owned(),
            tls: peer.tls_description(),
            client: peer.client.clone(),
            outcome,
        };
        if let Err(error) = login.store.record_login(record).await {
            tracing::warn!(%error, "login attempt not recorded");
        }
    }

    fn outcome(&self, result: &Result<User, Refusal>) -> LoginOutcome {
        match result {
            Ok(_) => LoginOutcome::Ok,
            Err(Refusal::Credentials | Refusal::UnknownKey) if self.known.is_none() => LoginOutcome::UnknownUser,
            Err(Refusal::Credentials) if self.means.shows_password() => LoginOutcome::WrongPassword,
            Err(refusal) => refusal.outcome(),
        }
    }
}
