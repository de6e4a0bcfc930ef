//! The server's side of an exchange.
//!
//! ```text
//! start(initial response) ─┬─> Challenge(octets): send, read the client's response ──> step(response)
//! step(response)          ─┤
//! supply(answer)          ─┼─> Verify(query): look up, decide ──> supply(answer)
//! abort()                 ─┴─> Done(outcome)
//! ```
//!
//! A mechanism's final data for the client (the `v=` of SCRAM) goes out as a last challenge, to which the client
//! responds with nothing: neither SMTP nor IMAP can carry it with success (RFC 4422 §3.3 c, RFC 4954 §4).

use std::mem;

use mailstead_names::Secret;
use subtle::ConstantTimeEq as _;

use crate::scram::message::{self, ClientFinal, ClientFirst, Gs2Flag, ServerFirst};
use crate::{
    ChannelBinding, CramMd5Secret, Error, Mechanism, Nonce, PlusOffered, ScramHash, ScramVerifier, cram_md5, oauth,
    plain, prepare,
};

/// What an exchange must know beside the client's messages.
#[derive(Debug, Clone)]
pub struct Options {
    /// Present where the connection can be bound: TLS 1.3.
    pub channel_binding: Option<ChannelBinding>,
    /// Whether the -PLUS variant was in the list of mechanisms that the client saw.
    pub plus: PlusOffered,
    /// Fresh for this exchange.
    pub nonce: Nonce,
    /// The server's name in the challenge of CRAM-MD5.
    pub hostname: String,
}

/// What comes next.
#[derive(Debug)]
pub enum Step {
    /// Send this and pass the client's response to [`Exchange::step`].
    Challenge(Vec<u8>),
    /// Answer this with [`Exchange::supply`].
    Verify(Query),
    /// It is over.
    Done(Outcome),
}

/// How it ended.
pub type Outcome = Result<Success, Error>;

/// Who the client is. Names are in NFC.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Success {
    /// The identity to act as, where the client asked for one.
    pub authzid: Option<String>,
    /// The identity whose credentials were shown; nothing where the credentials themselves say who it is (EXTERNAL,
    /// OAUTHBEARER).
    pub authcid: Option<String>,
}

/// What the exchange must learn from those who know the accounts. Names are in NFC.
///
/// Whether `authcid` may act as `authzid` is for the answer to say.
#[derive(Debug)]
#[non_exhaustive]
pub enum Query {
    /// PLAIN and LOGIN: is this the password? [`Answer::Accept`], [`Answer::Reject`] or [`Answer::RejectAuthzid`].
    Password {
        /// Identity to act as.
        authzid: Option<String>,
        /// Identity whose password it is.
        authcid: String,
        /// Prepared as `OpaqueString` (RFC 8265).
        password: Secret<String>,
    },
    /// SCRAM: the verifier of this user. [`Answer::Scram`], with [`ScramVerifier::fake`] for an unknown user, or
    /// [`Answer::RejectAuthzid`].
    Scram {
        /// Which verifier.
        hash: ScramHash,
        /// Identity to act as.
        authzid: Option<String>,
        /// Identity whose verifier is wanted.
        username: String,
    },
    /// CRAM-MD5: the secret of this user. [`Answer::CramMd5`], with [`CramMd5Secret::fake`] for an unknown user.
    CramMd5 {
        /// Identity whose secret is wanted.
        username: String,
    },
    /// EXTERNAL: may who is at the other end of the connection act as this, or as themselves where it is nothing?
    External {
        /// Identity to act as.
        authzid: Option<String>,
    },
    /// OAUTHBEARER: is the token good?
    OAuthBearer {
        /// Identity to act as.
        authzid: Option<String>,
        /// The bearer token.
        token: Secret<String>,
    },
}

/// The answer to a [`Query`].
#[derive(Debug)]
pub enum Answer {
    /// The credentials are good.
    Accept,
    /// They are not, or there is no such user.
    Reject,
    /// They do not allow the authorization identity.
    RejectAuthzid,
    /// The verifier to check the client's proof with.
    Scram(ScramVerifier),
    /// The secret to check the client's digest with.
    CramMd5(CramMd5Secret),
}

/// One exchange.
#[derive(Debug)]
pub struct Exchange {
    mechanism: Mechanism,
    options: Options,
    state: State,
}

#[derive(Debug)]
enum State {
    Fresh,
    /// A client-first mechanism without an initial response was asked with an empty challenge.
    AwaitFirst,
    AwaitLoginPassword {
        username: String,
    },
    AwaitCramMd5 {
        challenge: String,
    },
    AwaitScramFinal {
        first: ClientFirst,
        server_first: String,
        nonce: String,
        verifier: ScramVerifier,
    },
    /// Final data was sent as a challenge.
    AwaitEmpty(Success),
    AwaitOAuthAcknowledgement,
    /// A query is out, to be answered by accepting or rejecting.
    Asked(Success),
    AskedOAuth(Success),
    AskedCramMd5 {
        username: String,
        challenge: String,
        digest: String,
    },
    AskedScram(ClientFirst),
    Finished,
}

type Transition = Result<(State, Step), Error>;

impl Exchange {
    /// A new exchange.
    pub fn new(mechanism: Mechanism, options: Options) -> Exchange {
        Exchange { mechanism, options, state: State::Fresh }
    }

    /// The mechanism that runs.
    pub fn mechanism(&self) -> Mechanism {
        self.mechanism
    }

    /// Begins, with what the client sent along with its command. `Some` of nothing is an empty initial response, which
    /// protocols write as `=`.
    pub fn start(&mut self, initial_response: Option<&[u8]>) -> Step {
        self.run(|exchange, state| match state {
            State::Fresh => exchange.first(initial_response),
            _ => Err(Error::OutOfOrder),
        })
    }

    /// Goes on with the client's response to a challenge.
    pub fn step(&mut self, response: &[u8]) -> Step {
        self.run(|exchange, state| match state {
            State::AwaitFirst => exchange.client_first(response),
            State::AwaitLoginPassword { username } => exchange.login_password(username, response),
            State::AwaitCramMd5 { challenge } => {
                let (username, digest) = cram_md5::parse(response)?;
                let query = Query::CramMd5 { username: username.clone() };
                Ok((State::AskedCramMd5 { username, challenge, digest }, Step::Verify(query)))
            }
            State::AwaitScramFinal { first, server_first, nonce, verifier } => {
                exchange.scram_final(first, &server_first, &nonce, &verifier, response)
            }
            State::AwaitEmpty(success) if response.is_empty() => done(success),
            State::AwaitEmpty(_) => Err(Error::Malformed("data after the end of the exchange")),
            State::AwaitOAuthAcknowledgement if response == oauth::ACKNOWLEDGEMENT => Err(Error::Credentials),
            State::AwaitOAuthAcknowledgement => Err(Error::Malformed("no acknowledgement of the error")),
            _ => Err(Error::OutOfOrder),
        })
    }

    /// Goes on with the answer to a query.
    pub fn supply(&mut self, answer: Answer) -> Step {
        self.run(|exchange, state| match (state, answer) {
            // RFC 7628 §3.2.3: the client learns of the error in a challenge and acknowledges it.
            (State::AskedOAuth(_), Answer::Reject | Answer::RejectAuthzid) => {
                Ok((State::AwaitOAuthAcknowledgement, Step::Challenge(oauth::INVALID_TOKEN.to_vec())))
            }
            (State::Asked(_) | State::AskedCramMd5 { .. } | State::AskedScram(_), Answer::Reject) => {
                Err(Error::Credentials)
            }
            (State::Asked(_) | State::AskedCramMd5 { .. } | State::AskedScram(_), Answer::RejectAuthzid) => {
                Err(Error::AuthzidDenied)
            }
            (State::Asked(success) | State::AskedOAuth(success), Answer::Accept) => done(success),
            (State::AskedCramMd5 { username, challenge, digest }, Answer::CramMd5(secret)) => {
                secret.verify(challenge.as_bytes(), &digest)?;
                done(Success { authzid: None, authcid: Some(username) })
            }
            (State::AskedScram(first), Answer::Scram(verifier)) => exchange.scram_challenge(first, verifier),
            _ => Err(Error::OutOfOrder),
        })
    }

    /// Ends the exchange because the client gave up (`*`) or the connection broke.
    pub fn abort(&mut self) -> Step {
        self.run(|_, _| Err(Error::Aborted))
    }

    fn run(&mut self, transition: impl FnOnce(&Exchange, State) -> Transition) -> Step {
        let state = mem::replace(&mut self.state, State::Finished);
        match transition(self, state) {
            Ok((state, step)) => {
                self.state = state;
                step
            }
            Err(error) => Step::Done(Err(error)),
        }
    }

    fn first(&self, initial_response: Option<&[u8]>) -> Transition {
        if self.mechanism.is_plus() && self.options.channel_binding.is_none() {
            return Err(Error::ChannelBindingUnsupported);
        }
        match (self.mechanism, initial_response) {
            (Mechanism::CramMd5, None) => {
                let challenge = format!("<{}@{}>", self.options.nonce.as_str(), self.options.hostname);
                let octets = challenge.clone().into_bytes();
                Ok((State::AwaitCramMd5 { challenge }, Step::Challenge(octets)))
            }
            // RFC 4954 §4: the server speaks first, so there is nothing to respond to yet.
            (Mechanism::CramMd5, Some(_)) => Err(Error::Malformed("initial response to a mechanism without one")),
            (_, Some(response)) => self.client_first(response),
            (Mechanism::Login, None) => Ok((State::AwaitFirst, Step::Challenge(b"Username:".to_vec()))),
            (_, None) => Ok((State::AwaitFirst, Step::Challenge(Vec::new()))),
        }
    }

    /// The client's first message, by whichever way it came.
    fn client_first(&self, response: &[u8]) -> Transition {
        match self.mechanism {
            Mechanism::Plain => {
                let plain::Message { authzid, authcid, password } = plain::parse(response)?;
                Ok(ask_password(authzid, authcid, password))
            }
            Mechanism::Login => {
                let username = prepare::username(text(response)?)?;
                Ok((State::AwaitLoginPassword { username }, Step::Challenge(b"Password:".to_vec())))
            }
            Mechanism::External => {
                // RFC 4422 appendix A: the response is the authorization identity, possibly none.
                let authzid = if response.is_empty() { None } else { Some(prepare::username(text(response)?)?) };
                let success = Success { authzid: authzid.clone(), authcid: None };
                Ok((State::Asked(success), Step::Verify(Query::External { authzid })))
            }
            Mechanism::OAuthBearer => {
                let oauth::Message { authzid, token } = oauth::parse(response)?;
                let success = Success { authzid: authzid.clone(), authcid: None };
                Ok((State::AskedOAuth(success), Step::Verify(Query::OAuthBearer { authzid, token })))
            }
            Mechanism::ScramSha256Plus | Mechanism::ScramSha256 | Mechanism::ScramSha1Plus | Mechanism::ScramSha1 => {
                self.scram_first(response)
            }
            Mechanism::CramMd5 => Err(Error::OutOfOrder),
        }
    }

    fn login_password(&self, username: String, response: &[u8]) -> Transition {
        Ok(ask_password(None, username, prepare::password(text(response)?)?))
    }

    fn scram_first(&self, response: &[u8]) -> Transition {
        let first = ClientFirst::parse(response)?;
        // RFC 5802 §6 and §7, "gs2-cbind-flag".
        match (&first.header.flag, self.mechanism.is_plus()) {
            (Gs2Flag::NotOffered, _) if self.options.plus == PlusOffered::Offered => {
                return Err(Error::ChannelBindingDowngrade);
            }
            (Gs2Flag::Bound(name), true) if name == ChannelBinding::TYPE => {}
            (Gs2Flag::Bound(_), true) => return Err(Error::ChannelBindingUnsupported),
            (Gs2Flag::Bound(_), false) => return Err(Error::Malformed("channel binding without -PLUS")),
            (_, true) => return Err(Error::Malformed("-PLUS without channel binding")),
            (_, false) => {}
        }
        let Some(hash) = self.mechanism.scram_hash() else { return Err(Error::OutOfOrder) };
        let query = Query::Scram { hash, authzid: first.header.authzid.clone(), username: first.username.clone() };
        Ok((State::AskedScram(first), Step::Verify(query)))
    }

    fn scram_challenge(&self, first: ClientFirst, verifier: ScramVerifier) -> Transition {
        if Some(verifier.hash) != self.mechanism.scram_hash() {
            return Err(Error::OutOfOrder);
        }
        let nonce = format!("{}{}", first.nonce, self.options.nonce.as_str());
        let server_first =
            ServerFirst { nonce: nonce.clone(), salt: verifier.salt.clone(), iterations: verifier.iterations };
        let server_first = server_first.to_string();
        let challenge = server_first.clone().into_bytes();
        Ok((State::AwaitScramFinal { first, server_first, nonce, verifier }, Step::Challenge(challenge)))
    }

    fn scram_final(
        &self,
        first: ClientFirst,
        server_first: &str,
        nonce: &str,
        verifier: &ScramVerifier,
        response: &[u8],
    ) -> Transition {
        let last = ClientFinal::parse(response)?;
        if last.nonce != nonce {
            return Err(Error::Malformed("nonce differs"));
        }
        // §6: the client's view of its own header and of the channel must be ours. A changed header is an interception
        // as much as changed data is.
        let mut expected = first.raw_header.into_bytes();
        if self.mechanism.is_plus() {
            expected.extend_from_slice(self.options.channel_binding.as_ref().map_or(&[][..], ChannelBinding::data));
        }
        if !bool::from(last.cbind_input.ct_eq(&expected)) {
            return Err(Error::ChannelBindingMismatch);
        }
        let auth_message = message::auth_message(&first.bare, server_first, &last.without_proof);
        verifier.verify(&auth_message, &last.proof)?;
        let signature = message::server_final(&verifier.server_signature(&auth_message));
        let success = Success { authzid: first.header.authzid, authcid: Some(first.username) };
        Ok((State::AwaitEmpty(success), Step::Challenge(signature.into_bytes())))
    }
}

fn ask_password(authzid: Option<String>, authcid: String, password: Secret<String>) -> (State, Step) {
    let success = Success { authzid: authzid.clone(), authcid: Some(authcid.clone()) };
    (State::Asked(success), Step::Verify(Query::Password { authzid, authcid, password }))
}

fn done(success: Success) -> Transition {
    Ok((State::Finished, Step::Done(Ok(success))))
}

fn text(octets: &[u8]) -> Result<&str, Error> {
    std::str::from_utf8(octets).map_err(|_| Error::Malformed("not UTF-8"))
}
