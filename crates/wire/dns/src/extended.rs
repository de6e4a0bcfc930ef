//! Extended DNS errors (RFC 8914): what a server has to say about an answer, or about the lack of one.

use std::fmt;

/// What an extended error is about, as far as a caller may care.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ExtendedErrorClass {
    /// Somebody may be forging: validation was tried and failed.
    Authentication,
    /// Validation could not be done with what the zone uses, so the answer counts as insecure.
    Unsupported,
    /// Something is not well now and may be later.
    Temporary,
    /// Somebody has decided that there shall be no answer, or another one.
    Policy,
    /// The answer is older than it should be.
    Stale,
    /// Anything else, codes unknown to us included.
    Other,
}

/// An extended error.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ExtendedError {
    /// The INFO-CODE.
    pub code: u16,
    /// The EXTRA-TEXT; may be empty. From the network, so not to be shown without care; `Display` takes it.
    pub text: String,
}

/// The registry "Extended DNS Error Codes": RFC 8914 §4, and RFC 9276 and others for those above 24. The index is the
/// code.
const REGISTRY: [(&str, ExtendedErrorClass); 31] = {
    use ExtendedErrorClass::{Authentication, Other, Policy, Stale, Temporary, Unsupported};
    [
        ("other error", Other),
        ("unsupported DNSKEY algorithm", Unsupported),
        ("unsupported DS digest type", Unsupported),
        ("stale answer", Stale),
        ("forged answer", Policy),
        ("DNSSEC status indeterminate", Authentication),
        ("DNSSEC bogus", Authentication),
        ("signature expired", Authentication),
        ("signature not yet valid", Authentication),
        ("DNSKEY missing", Authentication),
        ("signatures missing", Authentication),
        ("no zone key bit set", Authentication),
        ("proof of absence missing", Authentication),
        ("cached error", Temporary),
        ("not ready", Temporary),
        ("blocked by the server's operator", Policy),
        ("censored by an external requirement", Policy),
        ("filtered at the client's request", Policy),
        ("prohibited for this client", Policy),
        ("stale answer of no such name", Stale),
        ("not authoritative", Other),
        ("not supported", Other),
        ("no reachable authority", Temporary),
        ("network error", Temporary),
        ("invalid data", Temporary),
        ("signature expired before it was valid", Authentication),
        ("too early", Temporary),
        ("unsupported NSEC3 iterations", Unsupported),
        ("unable to conform to policy", Policy),
        ("synthesized answer", Other),
        ("invalid query type", Other),
    ]
};

impl ExtendedError {
    /// An error without text.
    pub fn new(code: u16) -> ExtendedError {
        ExtendedError { code, text: String::new() }
    }

    /// What it is about.
    pub fn class(&self) -> ExtendedErrorClass {
        self.entry().map_or(ExtendedErrorClass::Other, |(_, class)| class)
    }

    /// The code in words.
    pub fn words(&self) -> &'static str {
        self.entry().map_or("unknown extended error", |(words, _)| words)
    }

    fn entry(&self) -> Option<(&'static str, ExtendedErrorClass)> {
        REGISTRY.get(usize::from(self.code)).copied()
    }
}

impl fmt::Display for ExtendedError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (extended error {})", self.words(), self.code)?;
        if !self.text.is_empty() {
            write!(f, ": {:?}", self.text.chars().take(200).collect::<String>())?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_where_the_registry_has_them() {
        let words = |code| ExtendedError::new(code).words();
        assert_eq!(words(6), "DNSSEC bogus");
        assert_eq!(words(18), "prohibited for this client");
        assert_eq!(words(22), "no reachable authority");
        assert_eq!(words(27), "unsupported NSEC3 iterations");
        assert_eq!(words(30), "invalid query type");
        assert_eq!(words(31), "unknown extended error");
        assert_eq!(ExtendedError::new(49152).class(), ExtendedErrorClass::Other);
        assert_eq!(ExtendedError::new(7).class(), ExtendedErrorClass::Authentication);
    }

    #[test]
    fn text_from_the_network_is_escaped_and_cut() {
        let error = ExtendedError { code: 15, text: format!("see\r\nhttp://\u{1b}[31m{}", "x".repeat(1000)) };
        let shown = error.to_string();
        assert!(
            shown.starts_with("blocked by the server's operator (extended error 15): \"see\\r\\nhttp://\\u{1b}[31mx")
        );
        assert!(shown.len() < 300);
    }
}
