//! Why somebody is not let in. The crate's error type; protocols turn it into their codes.

use mailstead_sasl::Error as SaslError;
use mailstead_store::LoginOutcome;

/// Why a login did not succeed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    /// The mechanism is not offered here.
    #[error("unknown mechanism")]
    Mechanism,
    /// Only after STARTTLS, or never on a connection without TLS.
    #[error("encryption required")]
    EncryptionRequired,
    /// Unknown user, wrong password or wrong proof.
    #[error("bad user name or password")]
    Credentials,
    /// EXTERNAL without a certificate, or with one whose key is nobody's.
    #[error("no certificate with a known key was shown")]
    UnknownKey,
    /// The credentials are good, but not for acting as somebody else.
    #[error("cannot assume another identity")]
    Authorization,
    /// Server and client do not see the same channel, or the offer of binding was removed.
    #[error("channel binding does not match, the connection may be intercepted")]
    ChannelBinding,
    /// The client does not follow the mechanism.
    #[error("malformed authentication exchange: {0}")]
    Malformed(&'static str),
    /// The client gave up.
    #[error("authentication aborted")]
    Aborted,
    /// The credentials are good, but the operator has switched the login off, with this message.
    #[error("login disabled: {0}")]
    Disabled(String),
    /// This network failed too often; the connection should end.
    #[error("too many failed authentications")]
    TooManyFailures,
    /// We cannot tell at the moment.
    #[error("authentication is not possible at the moment")]
    Unavailable,
}

/// Whether an attempt counts as guessing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Suspicion {
    Guess,
    Harmless,
}

impl Refusal {
    /// Credentials were tried and were wrong: counted against the limits. Breaking off and bad syntax teach a guesser
    /// nothing.
    pub(crate) fn suspicion(&self) -> Suspicion {
        match self {
            Refusal::Credentials | Refusal::UnknownKey | Refusal::Authorization | Refusal::ChannelBinding => {
                Suspicion::Guess
            }
            _ => Suspicion::Harmless,
        }
    }

    /// What is recorded where no more is known.
    pub(crate) fn outcome(&self) -> LoginOutcome {
        match self {
            Refusal::Mechanism | Refusal::EncryptionRequired | Refusal::Malformed(_) => LoginOutcome::Malformed,
            Refusal::Credentials | Refusal::UnknownKey | Refusal::Authorization => LoginOutcome::WrongProof,
            Refusal::ChannelBinding => LoginOutcome::ChannelBinding,
            Refusal::Aborted => LoginOutcome::Aborted,
            Refusal::Disabled(_) => LoginOutcome::Disabled,
            Refusal::TooManyFailures | Refusal::Unavailable => LoginOutcome::Error,
        }
    }
}

impl From<SaslError> for Refusal {
    fn from(error: SaslError) -> Refusal {
        match error {
            SaslError::Malformed(what) => Refusal::Malformed(what),
            SaslError::Credentials => Refusal::Credentials,
            SaslError::AuthzidDenied => Refusal::Authorization,
            SaslError::ChannelBindingMismatch | SaslError::ChannelBindingDowngrade => Refusal::ChannelBinding,
            SaslError::ChannelBindingUnsupported => Refusal::Malformed("unsupported channel binding"),
            SaslError::Aborted => Refusal::Aborted,
            _ => Refusal::Malformed("out of order"),
        }
    }
}
