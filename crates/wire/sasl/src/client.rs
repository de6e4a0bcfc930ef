//! The client's side of an exchange.

use std::mem;

use mailstead_names::Secret;
use subtle::ConstantTimeEq as _;

use crate::scram::SaltedPassword;
use crate::scram::message::{self, Gs2Flag, Gs2Header, ServerFirst};
use crate::{ChannelBinding, CramMd5Secret, Error, Mechanism, Nonce, PlusOffered, ScramHash, oauth, plain};

/// Fewer make a captured exchange cheap to guess from (RFC 5802 §5.1, RFC 7677 §4).
const MIN_ITERATIONS: u32 = 4096;
/// More is an attack on our processor: some ten seconds of work.
const MAX_ITERATIONS: u32 = 10_000_000;

/// Who we are.
#[derive(Debug, Clone)]
pub struct Credentials {
    /// Identity to act as, where it is another one.
    pub authzid: Option<String>,
    /// Identity whose password it is.
    pub authcid: String,
    /// The password, or the bearer token for OAUTHBEARER.
    pub password: Secret<String>,
}

/// What an exchange must know beside the credentials.
#[derive(Debug, Clone)]
pub struct Options {
    /// Present where the connection can be bound: TLS 1.3.
    pub channel_binding: Option<ChannelBinding>,
    /// Whether the server's list of mechanisms had the -PLUS variant.
    pub plus: PlusOffered,
    /// Fresh for this exchange.
    pub nonce: Nonce,
}

/// The best of the mechanisms that a server offers for a password; -PLUS ones only where the channel can be bound.
///
/// Whether the password may be shown to the other side ([`Mechanism::reveals_password`]) is for the caller to say
/// with `acceptable`.
pub fn choose(
    offered: &[Mechanism],
    channel_binding: Option<&ChannelBinding>,
    acceptable: impl Fn(Mechanism) -> bool,
) -> Option<Mechanism> {
    Mechanism::PASSWORD_STRONGEST_FIRST
        .into_iter()
        .filter(|mechanism| offered.contains(mechanism))
        .filter(|mechanism| channel_binding.is_some() || !mechanism.is_plus())
        .find(|mechanism| acceptable(*mechanism))
}

/// One exchange.
#[derive(Debug)]
pub struct Exchange {
    mechanism: Mechanism,
    credentials: Credentials,
    options: Options,
    state: State,
}

#[derive(Debug)]
enum State {
    Fresh,
    /// The first message was sent as an initial response, or is to be sent as answer to an empty challenge.
    SentFirst,
    SentLoginUsername,
    SentScramFirst {
        header: String,
        bare: String,
    },
    SentScramFinal {
        server_signature: Vec<u8>,
    },
    /// Nothing more to say; the server's verdict decides.
    Finished,
    Failed,
}

impl Exchange {
    /// A new exchange.
    pub fn new(mechanism: Mechanism, credentials: Credentials, options: Options) -> Exchange {
        Exchange { mechanism, credentials, options, state: State::Fresh }
    }

    /// The mechanism that runs.
    pub fn mechanism(&self) -> Mechanism {
        self.mechanism
    }

    /// The initial response to send with the command; `None` where the server speaks first. A protocol without initial
    /// responses keeps it and sends it in answer to the empty challenge.
    ///
    /// # Errors
    /// When a -PLUS mechanism was chosen without a channel to bind to.
    pub fn start(&mut self) -> Result<Option<Vec<u8>>, Error> {
        if !matches!(mem::replace(&mut self.state, State::Failed), State::Fresh) {
            return Err(Error::OutOfOrder);
        }
        let Credentials { authzid, authcid, password } = &self.credentials;
        let authzid = authzid.as_deref();
        let (state, response) = match self.mechanism {
            Mechanism::Plain => (State::Finished, Some(plain::write(authzid, authcid, password.expose()))),
            Mechanism::OAuthBearer => (State::Finished, Some(oauth::write(authzid, password.expose()))),
            Mechanism::External => (State::Finished, Some(authzid.unwrap_or_default().as_bytes().to_vec())),
            // Some servers take no initial response here; all of them ask.
            Mechanism::Login | Mechanism::CramMd5 => (State::SentFirst, None),
            Mechanism::ScramSha256Plus | Mechanism::ScramSha256 | Mechanism::ScramSha1Plus | Mechanism::ScramSha1 => {
                let header = Gs2Header { flag: self.gs2_flag()?, authzid: authzid.map(str::to_owned) }.to_string();
                let name = message::escape(authcid);
                let bare = format!("n={name},r={}", self.options.nonce.as_str());
                let first = format!("{header}{bare}").into_bytes();
                (State::SentScramFirst { header, bare }, Some(first))
            }
        };
        self.state = state;
        Ok(response)
    }

    /// The response to a challenge.
    ///
    /// # Errors
    /// When the server is malformed, an impostor, or says that it refuses. The exchange is then to be cancelled.
    pub fn step(&mut self, challenge: &[u8]) -> Result<Vec<u8>, Error> {
        let (state, response) = match (self.mechanism, mem::replace(&mut self.state, State::Failed)) {
            (Mechanism::Login, State::SentFirst) => {
                (State::SentLoginUsername, self.credentials.authcid.clone().into_bytes())
            }
            (Mechanism::Login, State::SentLoginUsername) => {
                (State::Finished, self.credentials.password.expose().clone().into_bytes())
            }
            (Mechanism::CramMd5, State::SentFirst) => {
                let digest = CramMd5Secret::derive(self.credentials.password.expose()).digest(challenge);
                (State::Finished, format!("{} {digest}", self.credentials.authcid).into_bytes())
            }
            (_, State::SentScramFirst { header, bare }) => self.scram_final(&header, &bare, challenge)?,
            (_, State::SentScramFinal { server_signature }) => {
                let signature = message::parse_server_final(challenge)?;
                if !bool::from(signature.ct_eq(&server_signature)) {
                    return Err(Error::ServerSignature);
                }
                (State::Finished, Vec::new())
            }
            // RFC 7628 §3.2.3: an error is acknowledged, and the server's verdict follows.
            (Mechanism::OAuthBearer, State::Finished) => (State::Failed, oauth::ACKNOWLEDGEMENT.to_vec()),
            _ => return Err(Error::OutOfOrder),
        };
        self.state = state;
        Ok(response)
    }

    /// To be called when the server says that authentication succeeded, with the data that came with it, if the
    /// protocol can carry such.
    ///
    /// # Errors
    /// When the server has not proved itself, although the mechanism obliges it to: it must then not be trusted.
    pub fn finish(&mut self, additional_data: Option<&[u8]>) -> Result<(), Error> {
        if let Some(data) = additional_data {
            self.step(data)?;
        }
        match self.state {
            State::Finished => Ok(()),
            State::SentScramFirst { .. } | State::SentScramFinal { .. } => Err(Error::ServerSignature),
            _ => Err(Error::OutOfOrder),
        }
    }

    /// RFC 5802 §6: what to say about channel binding, so that a server can tell that its offer was removed.
    fn gs2_flag(&self) -> Result<Gs2Flag, Error> {
        match (&self.options.channel_binding, self.mechanism.is_plus(), self.options.plus) {
            (Some(_), true, _) => Ok(Gs2Flag::Bound(ChannelBinding::TYPE.to_owned())),
            (None, true, _) => Err(Error::ChannelBindingUnsupported),
            (Some(_), false, PlusOffered::NotOffered) => Ok(Gs2Flag::NotOffered),
            (Some(_), false, PlusOffered::Offered) | (None, false, _) => Ok(Gs2Flag::Unsupported),
        }
    }

    fn scram_final(&self, header: &str, bare: &str, challenge: &[u8]) -> Result<(State, Vec<u8>), Error> {
        let server_first = ServerFirst::parse(challenge)?;
        // §5.1: the server's nonce begins with ours and adds to it.
        let ours = self.options.nonce.as_str();
        if !server_first.nonce.starts_with(ours) || server_first.nonce.len() == ours.len() {
            return Err(Error::Malformed("nonce differs"));
        }
        if !(MIN_ITERATIONS..=MAX_ITERATIONS).contains(&server_first.iterations) {
            return Err(Error::Iterations(server_first.iterations));
        }
        let mut cbind_input = header.as_bytes().to_vec();
        if let (true, Some(binding)) = (self.mechanism.is_plus(), &self.options.channel_binding) {
            cbind_input.extend_from_slice(binding.data());
        }
        let hash = self.mechanism.scram_hash().unwrap_or(ScramHash::Sha256);
        let salted = SaltedPassword::new(hash, &self.credentials.password, &server_first.salt, server_first.iterations);
        let without_proof = message::client_final_without_proof(&cbind_input, &server_first.nonce);
        let server_first = std::str::from_utf8(challenge).map_err(|_| Error::Malformed("not UTF-8"))?;
        let auth_message = message::auth_message(bare, server_first, &without_proof);
        let response = message::client_final(&without_proof, &salted.client_proof(&auth_message));
        let server_signature = hash.hmac(&salted.server_key(), &auth_message);
        Ok((State::SentScramFinal { server_signature }, response.into_bytes()))
    }
}
