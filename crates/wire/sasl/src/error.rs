//! How an exchange fails.

/// Why an exchange ended without success.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The peer's message does not follow the mechanism.
    #[error("malformed message: {0}")]
    Malformed(&'static str),
    /// Unknown user, wrong password, or a proof that does not fit. Deliberately one case.
    #[error("bad credentials")]
    Credentials,
    /// The credentials may be right, but do not allow acting as the requested authorization identity.
    #[error("not allowed to assume the requested authorization identity")]
    AuthzidDenied,
    /// The channel that the client sees is not the one that the server sees: somebody may stand between them.
    #[error("channel binding data differs: the connection may be intercepted")]
    ChannelBindingMismatch,
    /// The client could bind to the channel and believes that the server did not offer it, but it did: somebody removed
    /// the offer (RFC 5802 §6, flag `y`).
    #[error("offer of channel binding was not seen by the client: the connection may be intercepted")]
    ChannelBindingDowngrade,
    /// A -PLUS mechanism without binding data, or another type of binding than `tls-exporter`.
    #[error("unsupported channel binding")]
    ChannelBindingUnsupported,
    /// The server did not prove that it knows the verifier: it may be an impostor (RFC 5802 §3).
    #[error("server signature is wrong: the server may be an impostor")]
    ServerSignature,
    /// The server asks for fewer iterations than is safe, or for more than is reasonable.
    #[error("iteration count of {0} refused")]
    Iterations(u32),
    /// The server said in the mechanism's own words why it refuses.
    #[error("refused by the server: {0}")]
    Refused(String),
    /// One side gave up.
    #[error("exchange aborted")]
    Aborted,
    /// The caller broke the order of calls, or the exchange was over.
    #[error("out of order")]
    OutOfOrder,
}
