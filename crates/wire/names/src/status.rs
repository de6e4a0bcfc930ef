//! Enhanced mail system status codes (RFC 3463), as in SMTP replies (RFC 2034) and delivery status notifications.
//!
//! Which code belongs to which event is decided in the `reply.rs` files of the protocols.

use std::fmt;
use std::str::FromStr;

use crate::Error;

/// The first number: what the sender may conclude (RFC 3463 §3.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum StatusClass {
    /// `2`
    Success,
    /// `4`: trying again may help.
    PersistentTransient,
    /// `5`: trying again will not help.
    Permanent,
}

/// `class.subject.detail`, as in `5.1.1`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EnhancedStatus {
    class: StatusClass,
    subject: u16,
    detail: u16,
}

impl EnhancedStatus {
    /// A code known when the program is written.
    ///
    /// # Panics
    /// When `class` is not 2, 4 or 5 or another number is above 999; at compile time where the value is a constant.
    pub const fn new(class: u8, subject: u16, detail: u16) -> EnhancedStatus {
        assert!(subject <= 999 && detail <= 999, "subject and detail have at most three digits");
        let class = match class {
            2 => StatusClass::Success,
            4 => StatusClass::PersistentTransient,
            5 => StatusClass::Permanent,
            _ => panic!("the class of an enhanced status code is 2, 4 or 5"),
        };
        EnhancedStatus { class, subject, detail }
    }

    /// Parses `5.1.1`.
    ///
    /// # Errors
    /// When the text, all of it, is not a status code.
    pub fn parse(text: &str) -> Result<EnhancedStatus, Error> {
        crate::parse::whole(text, crate::parse::enhanced_status)
    }

    pub(crate) const fn from_parts(class: StatusClass, subject: u16, detail: u16) -> EnhancedStatus {
        EnhancedStatus { class, subject, detail }
    }

    /// The first number.
    pub const fn class(self) -> StatusClass {
        self.class
    }

    /// The second number.
    pub const fn subject(self) -> u16 {
        self.subject
    }

    /// The third number.
    pub const fn detail(self) -> u16 {
        self.detail
    }

    /// The same event judged otherwise: `4.7.0` from `5.7.0`.
    #[must_use]
    pub const fn with_class(self, class: StatusClass) -> EnhancedStatus {
        EnhancedStatus { class, ..self }
    }
}

impl FromStr for EnhancedStatus {
    type Err = Error;

    fn from_str(text: &str) -> Result<EnhancedStatus, Error> {
        EnhancedStatus::parse(text)
    }
}

impl fmt::Display for EnhancedStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let class = match self.class {
            StatusClass::Success => 2,
            StatusClass::PersistentTransient => 4,
            StatusClass::Permanent => 5,
        };
        write!(f, "{class}.{}.{}", self.subject, self.detail)
    }
}

impl fmt::Debug for EnhancedStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_and_value() {
        const UNKNOWN_USER: EnhancedStatus = EnhancedStatus::new(5, 1, 1);
        assert_eq!(UNKNOWN_USER.to_string(), "5.1.1");
        assert_eq!("5.1.1".parse(), Ok(UNKNOWN_USER));
        assert_eq!(UNKNOWN_USER.with_class(StatusClass::PersistentTransient).to_string(), "4.1.1");
        for text in ["", "5", "5.1", "5.1.", "5.1.1.", "3.0.0", "5.1000.1", "5.+1.1", "5.1.1 x"] {
            assert!(EnhancedStatus::parse(text).is_err(), "{text}");
        }
        assert_eq!(crate::parse::enhanced_status("4.7.10 later").unwrap(), (EnhancedStatus::new(4, 7, 10), 6));
    }
}
