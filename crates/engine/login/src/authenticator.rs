//! One connection's way to a user.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use mailstead_config::PlaintextLogin;
use mailstead_names::{KeyFingerprint, Secret};
use mailstead_net::tls::TlsFacts;
use mailstead_sasl::server::{self, Answer, Query, Success};
use mailstead_sasl::{ChannelBinding, Error as SaslError, Mechanism, PlusOffered, prepare};
use mailstead_store::ImapPreauth;

use crate::attempt::{Attempt, Means};
use crate::login::{Login, Recognised, User};
use crate::refusal::{Refusal, Suspicion};

/// After this many failures a connection is slow.
const PATIENCE: u32 = 3;
/// Longest pause before credentials are looked at.
const MAX_PAUSE: u32 = 30;

/// Who is at the other end of a connection.
#[derive(Debug, Clone)]
pub struct Peer {
    /// The protocol, for records and metrics: `imap`, `submission`.
    pub protocol: &'static str,
    /// The client's address.
    pub remote: IpAddr,
    /// Our address.
    pub local: IpAddr,
    /// What was negotiated, once there is TLS: for [`Authenticator::tls_established`] to fill in.
    pub tls: Option<TlsFacts>,
    /// Whether somebody may log in without TLS.
    pub plaintext: PlaintextLogin,
    /// What the client calls itself, in EHLO or ID.
    pub client: String,
}

impl Peer {
    fn channel_binding(&self) -> Option<ChannelBinding> {
        self.tls.as_ref().and_then(|tls| tls.exporter).map(ChannelBinding::tls_exporter)
    }

    /// Whether anybody may log in over this connection as it is.
    fn is_private_enough(&self) -> bool {
        self.tls.is_some() || self.plaintext == PlaintextLogin::Allowed
    }

    /// The key that the client has shown, be it anybody's or not.
    pub(crate) fn key(&self) -> Option<&KeyFingerprint> {
        self.tls.as_ref().and_then(|tls| tls.client_key.as_ref())
    }

    pub(crate) fn tls_description(&self) -> String {
        let Some(tls) = &self.tls else { return String::new() };
        let key = self.key().map(|key| format!(" key {key}")).unwrap_or_default();
        format!("{} {}{key}", tls.version, tls.cipher_suite)
    }
}

/// What to do next in an exchange.
#[derive(Debug)]
pub enum Step {
    /// Send this to the client and pass the response to [`Authenticator::respond`].
    Challenge(Vec<u8>),
    /// It is over.
    Done(Result<User, Refusal>),
}

/// Runs the login attempts of one connection, one after the other.
#[derive(Debug)]
pub struct Authenticator {
    login: Arc<Login>,
    /// May be changed as the connection goes on: the client's name.
    pub peer: Peer,
    /// Whose key the client has shown, as it was then.
    recognised: Option<Recognised>,
    failures: u32,
    running: Option<Running>,
}

#[derive(Debug)]
struct Running {
    exchange: server::Exchange,
    attempt: Attempt,
}

impl Authenticator {
    pub(crate) fn new(login: Arc<Login>, peer: Peer) -> Authenticator {
        Authenticator { login, peer, recognised: None, failures: 0, running: None }
    }

    /// Takes note of what a handshake negotiated, and finds out whose key the client has shown. A key that is nobody's is
    /// no failure: programs show whatever certificates they have.
    pub async fn tls_established(&mut self, facts: TlsFacts) {
        self.recognised = match &facts.client_key {
            Some(key) if self.login.settings.mechanisms.contains(&Mechanism::External) => {
                self.login.recognise(key).await.unwrap_or_else(|error| {
                    // A password will do, if that can be checked.
                    tracing::error!(%error, "cannot look up the key of a client");
                    None
                })
            }
            _ => None,
        };
        self.peer.tls = Some(facts);
    }

    /// The mechanisms to announce now: none where a login needs TLS first, -PLUS only where the channel can be bound,
    /// EXTERNAL only to who has shown a key that is known.
    pub fn offered(&self) -> Vec<Mechanism> {
        if !self.peer.is_private_enough() {
            return Vec::new();
        }
        let binding = self.peer.channel_binding().is_some();
        let works = |mechanism: &Mechanism| match mechanism {
            Mechanism::External => self.recognised.is_some(),
            other => binding || !other.is_plus(),
        };
        self.login.settings.mechanisms.iter().copied().filter(works).collect()
    }

    /// Logs in who has shown a key that is meant for it, before anything is said; nobody else. For the greeting of IMAP
    /// over TLS that began with the first octet (PREAUTH, RFC 9051 §7.1.4): on other ports nothing protects a greeting, and
    /// a client that takes a forged one for good would never ask for TLS.
    pub async fn preauthenticate(&mut self) -> Option<User> {
        let recognised = self.recognised.clone().filter(|found| found.key.imap_preauth == ImapPreauth::Allowed)?;
        self.check_channel().ok()?;
        let mut attempt = Attempt::new(Means::Preauth);
        attempt.recognise(recognised);
        // Why a login is disabled is told to who asks for it.
        let user = attempt.admit(&self.login, &Success { authzid: None, authcid: None }).ok()?;
        self.conclude(attempt, Ok(user)).await.ok()
    }

    /// Failed attempts of this connection.
    pub fn failures(&self) -> u32 {
        self.failures
    }

    /// Whether this connection should be served slowly, because it seems to be guessing.
    pub fn is_slow(&self) -> bool {
        self.failures >= PATIENCE
    }

    /// Begins an exchange with a mechanism by its name, with what the client sent along. Ends one that is still going.
    pub async fn start(&mut self, mechanism: &str, initial_response: Option<&[u8]>) -> Step {
        self.abort().await;
        let exchange = match self.prepare(mechanism) {
            Ok(exchange) => exchange,
            Err(refusal) => return Step::Done(Err(refusal)),
        };
        let attempt = Attempt::new(Means::Sasl(exchange.mechanism()));
        let mut running = Running { exchange, attempt };
        let step = running.exchange.start(initial_response);
        self.go_on(running, step).await
    }

    /// Goes on with the client's response to a challenge.
    pub async fn respond(&mut self, response: &[u8]) -> Step {
        let Some(mut running) = self.running.take() else {
            return Step::Done(Err(Refusal::Malformed("no exchange is going on")));
        };
        let step = running.exchange.step(response);
        self.go_on(running, step).await
    }

    /// The client gave up, or the connection ended in the middle of an exchange.
    pub async fn abort(&mut self) {
        if let Some(running) = self.running.take() {
            self.conclude(running.attempt, Err(Refusal::Aborted)).await.ok();
        }
    }

    /// User name and password in one command, as IMAP's LOGIN has them.
    ///
    /// # Errors
    /// Why they do not let anybody in.
    pub async fn password(&mut self, username: &str, password: &Secret<String>) -> Result<User, Refusal> {
        self.abort().await;
        self.check_channel()?;
        let mut attempt = Attempt::new(Means::LoginCommand);
        let prepared = prepare::username(username).and_then(|name| Ok((name, prepare::password(password.expose())?)));
        let (authcid, password) = match prepared {
            Ok(prepared) => prepared,
            Err(error) => return self.conclude(attempt, Err(error.into())).await,
        };
        self.pause().await;
        let query = Query::Password { authzid: None, authcid: authcid.clone(), password };
        let result = match self.answer(&mut attempt, query).await {
            Ok(Answer::Accept) => attempt.admit(&self.login, &Success { authzid: None, authcid: Some(authcid) }),
            Ok(_) => Err(Refusal::Credentials),
            Err(refusal) => Err(refusal),
        };
        self.conclude(attempt, result).await
    }

    /// Refusals before anything is exchanged. They are not recorded: they say nothing about an account.
    fn check_channel(&self) -> Result<(), Refusal> {
        if !self.login.may_try(self.peer.remote) {
            return Err(Refusal::TooManyFailures);
        }
        if self.peer.is_private_enough() { Ok(()) } else { Err(Refusal::EncryptionRequired) }
    }

    fn prepare(&self, mechanism: &str) -> Result<server::Exchange, Refusal> {
        let mechanism = Mechanism::parse(mechanism).filter(|known| self.login.settings.mechanisms.contains(known));
        let mechanism = mechanism.ok_or(Refusal::Mechanism)?;
        self.check_channel()?;
        let offered = self.offered();
        match mechanism {
            // There is no certificate where there is no TLS, however private the connection is otherwise.
            Mechanism::External if self.peer.tls.is_none() => return Err(Refusal::EncryptionRequired),
            // May be tried without an offer: that the key is not known is then said as of any other credentials.
            Mechanism::External => {}
            // -PLUS without a channel to bind to.
            other if !offered.contains(&other) => return Err(Refusal::Mechanism),
            _ => {}
        }
        let plus_of_the_same = |other: &Mechanism| other.is_plus() && other.scram_hash() == mechanism.scram_hash();
        let options = server::Options {
            channel_binding: self.peer.channel_binding(),
            plus: if offered.iter().any(plus_of_the_same) { PlusOffered::Offered } else { PlusOffered::NotOffered },
            nonce: self.login.nonce(),
            hostname: self.login.settings.hostname.clone(),
        };
        Ok(server::Exchange::new(mechanism, options))
    }

    async fn go_on(&mut self, mut running: Running, mut step: server::Step) -> Step {
        loop {
            let result = match step {
                server::Step::Challenge(challenge) => {
                    self.running = Some(running);
                    return Step::Challenge(challenge);
                }
                server::Step::Verify(query) => {
                    self.pause().await;
                    match self.answer(&mut running.attempt, query).await {
                        Ok(answer) => {
                            step = running.exchange.supply(answer);
                            continue;
                        }
                        Err(refusal) => Err(refusal),
                    }
                }
                server::Step::Done(outcome) => match outcome {
                    Ok(success) => running.attempt.admit(&self.login, &success),
                    Err(SaslError::Credentials) if running.exchange.mechanism() == Mechanism::External => {
                        Err(Refusal::UnknownKey)
                    }
                    Err(error) => Err(error.into()),
                },
            };
            return Step::Done(self.conclude(running.attempt, result).await);
        }
    }

    /// Answers what the exchange asks. The authorization identity waits until the credentials are known to be good:
    /// before, an answer about it would tell which names belong together.
    async fn answer(&self, attempt: &mut Attempt, query: Query) -> Result<Answer, Refusal> {
        let login = &self.login;
        let answer = async {
            match query {
                Query::Password { authcid, password, .. } => {
                    let known = attempt.identify(login, &authcid).await?;
                    let right = login.check_password(known, &password).await?;
                    Ok(if right { Answer::Accept } else { Answer::Reject })
                }
                Query::Scram { hash, username, .. } => {
                    let known = attempt.identify(login, &username).await?;
                    login.scram(known, &username, hash).await
                }
                Query::CramMd5 { username } => {
                    let known = attempt.identify(login, &username).await?;
                    login.cram_md5(known, &username).await
                }
                Query::External { authzid } => self.answer_external(attempt, authzid).await,
                // Not among the mechanisms yet: it waits for token issuers.
                _ => Ok(Answer::Reject),
            }
        };
        answer.await.map_err(|error: mailstead_store::Error| {
            tracing::error!(%error, "login impossible");
            Refusal::Unavailable
        })
    }

    /// The key is looked up again: it may have been taken away since the connection began.
    async fn answer_external(&self, attempt: &mut Attempt, authzid: Option<String>) -> mailstead_store::Result<Answer> {
        let login = &self.login;
        let recognised = match self.peer.key() {
            Some(key) => login.recognise(key).await?,
            None => None,
        };
        if let Some(recognised) = recognised {
            attempt.recognise(recognised);
            return Ok(Answer::Accept);
        }
        if let Some(username) = authzid {
            attempt.identify(login, &username).await?;
        }
        Ok(Answer::Reject)
    }

    /// Guessers wait, longer each time, before anything is looked up for them.
    async fn pause(&self) {
        let seconds = self.failures.saturating_sub(PATIENCE).min(MAX_PAUSE);
        if seconds > 0 {
            let clock = &self.login.clock;
            clock.sleep_until(clock.monotonic() + Duration::from_secs(seconds.into())).await;
        }
    }

    async fn conclude(&mut self, attempt: Attempt, result: Result<User, Refusal>) -> Result<User, Refusal> {
        match result.as_ref().map_err(Refusal::suspicion) {
            Ok(_) => self.failures = 0,
            Err(Suspicion::Guess) => self.failures = self.failures.saturating_add(1),
            Err(Suspicion::Harmless) => {}
        }
        attempt.conclude(&self.login, &self.peer, &result).await;
        result
    }
}
