//! A server that takes mail, whatever program it is.

use std::net::IpAddr;

use super::authority::Identity;

/// What a receiver makes of TLS.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Offer {
    /// STARTTLS, with TLS 1.2 and 1.3.
    StartTls,
    /// No STARTTLS: it has none, or somebody on the way removed it.
    Nothing,
    /// STARTTLS with TLS 1.0 and nothing newer.
    Tls10,
    /// STARTTLS, and nothing without a certificate of the client: not within TLS, which it says once TLS is there, nor
    /// in clear.
    ClientCertificate,
    /// STARTTLS with TLS 1.2, where the handshake of a client without a certificate fails. It takes mail in clear.
    RefusesTls12,
    /// The same with TLS 1.3, where the client's part of the handshake is over before the server has seen that there is
    /// no certificate (RFC 8446 §4.4.2.4).
    RefusesTls13,
    /// STARTTLS and, within TLS, REQUIRETLS.
    RequireTls,
    /// STARTTLS is offered and then refused for the moment. It takes mail in clear.
    Unavailable,
    /// The connection ends after STARTTLS was agreed upon. It takes mail in clear.
    HangUp,
}

impl Offer {
    /// The options of Postfix for it; `None` where it takes a scripted server.
    pub(super) fn postfix(self) -> Option<&'static str> {
        Some(match self {
            Self::StartTls => "-o smtpd_tls_security_level=may",
            Self::Nothing => "-o smtpd_tls_security_level=none",
            // Debian's OpenSSL speaks it only where the level of security is lowered.
            Self::Tls10 => {
                "-o smtpd_tls_security_level=may -o smtpd_tls_protocols=TLSv1 -o tls_medium_cipherlist=HIGH:!aNULL:@SECLEVEL=0"
            }
            Self::ClientCertificate => "-o smtpd_tls_security_level=encrypt -o smtpd_tls_req_ccert=yes",
            Self::RefusesTls12 | Self::RefusesTls13 | Self::RequireTls | Self::Unavailable | Self::HangUp => {
                return None;
            }
        })
    }
}

/// One of the servers.
#[derive(Debug)]
pub struct Receiver {
    /// What it calls itself: in its greeting and in Received fields.
    pub name: String,
    /// Where it listens, on port 25.
    pub addresses: Vec<IpAddr>,
    /// What it makes of TLS.
    pub offer: Offer,
    /// What it shows of itself.
    pub identity: Identity,
}
