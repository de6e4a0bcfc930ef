//! Handshakes that failed, as they are reported.

use rustls::{AlertDescription, Error, PeerIncompatible};

use super::{FailureReason, ResultType};

/// A handshake that ended with this error, other than by the verification of a certificate, which has findings of its own.
/// The reason code names the alert (RFC 8446 §6) and whose it was.
#[must_use]
pub fn handshake_failure(error: &Error) -> FailureReason {
    let code = match error {
        Error::AlertReceived(alert) => of_alert("remote", *alert),
        Error::PeerIncompatible(PeerIncompatible::ServerDoesNotSupportTls12Or13) => {
            of_alert("local", AlertDescription::ProtocolVersion)
        }
        Error::PeerIncompatible(_) => of_alert("local", AlertDescription::HandshakeFailure),
        Error::PeerMisbehaved(_) => of_alert("local", AlertDescription::IllegalParameter),
        Error::InappropriateMessage { .. } | Error::InappropriateHandshakeMessage { .. } => {
            of_alert("local", AlertDescription::UnexpectedMessage)
        }
        // What answers in the clear where TLS should begin comes here.
        Error::InvalidMessage(_) => "tls-record-header-error".to_owned(),
        Error::InvalidCertificate(_) | Error::InvalidCertRevocationList(_) => {
            let code = "certificate-or-signature-not-readable";
            return FailureReason::with_code(ResultType::CertificateNotTrusted, code);
        }
        Error::NoCertificatesPresented => "no-certificate".to_owned(),
        Error::DecryptError => of_alert("local", AlertDescription::BadRecordMac),
        _ => "tls-failed".to_owned(),
    };
    FailureReason::with_code(ResultType::ValidationFailure, code)
}

/// `tls-remote-alert-40-handshake-failure`
fn of_alert(whose: &str, alert: AlertDescription) -> String {
    let number = u8::from(alert);
    let name = if let AlertDescription::Unknown(_) = alert { "Unknown".to_owned() } else { format!("{alert:?}") };
    let mut words = String::with_capacity(name.len() + 4);
    let mut after_small = false;
    for letter in name.chars() {
        if letter.is_ascii_uppercase() && after_small {
            words.push('-');
        }
        after_small = letter.is_ascii_lowercase();
        words.push(letter.to_ascii_lowercase());
    }
    format!("tls-{whose}-alert-{number}-{words}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn alerts_have_number_name_and_side() {
        let code = |error| handshake_failure(&error).code;
        assert_eq!(
            code(Error::AlertReceived(AlertDescription::HandshakeFailure)),
            "tls-remote-alert-40-handshake-failure"
        );
        assert_eq!(
            code(Error::AlertReceived(AlertDescription::CertificateRequired)),
            "tls-remote-alert-116-certificate-required"
        );
        assert_eq!(code(Error::AlertReceived(AlertDescription::UnknownCA)), "tls-remote-alert-48-unknown-ca");
        let old = PeerIncompatible::ServerDoesNotSupportTls12Or13;
        assert_eq!(code(Error::PeerIncompatible(old)), "tls-local-alert-70-protocol-version");
        let odd = AlertDescription::Unknown(200);
        assert_eq!(code(Error::AlertReceived(odd)), "tls-remote-alert-200-unknown");
    }

    #[test]
    fn our_own_objections_have_the_alert_that_we_send() {
        let code = |error| handshake_failure(&error).code;
        let no_share = PeerIncompatible::NoCipherSuitesInCommon;
        assert_eq!(code(Error::PeerIncompatible(no_share)), "tls-local-alert-40-handshake-failure");
        let illegal = rustls::PeerMisbehaved::IllegalMiddleboxChangeCipherSpec;
        assert_eq!(code(Error::PeerMisbehaved(illegal)), "tls-local-alert-47-illegal-parameter");
        let got_type = rustls::ContentType::ApplicationData;
        let message = Error::InappropriateMessage { expect_types: Vec::new(), got_type };
        assert_eq!(code(message), "tls-local-alert-10-unexpected-message");
        assert_eq!(code(Error::DecryptError), "tls-local-alert-20-bad-record-mac");
        assert_eq!(code(Error::InvalidMessage(rustls::InvalidMessage::InvalidContentType)), "tls-record-header-error");
        assert_eq!(code(Error::NoCertificatesPresented), "no-certificate");
        assert_eq!(code(Error::General("else".to_owned())), "tls-failed");
    }

    #[test]
    fn certificates_that_cannot_be_read_are_not_trusted() {
        let error = Error::InvalidCertificate(rustls::CertificateError::BadSignature);
        assert_eq!(handshake_failure(&error).result, ResultType::CertificateNotTrusted);
    }
}
