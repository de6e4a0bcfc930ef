//! A server for trying things out: local parts that provoke failures, for people who write mail software.
//!
//! In a sandbox every address belongs to one account (that is the directory's doing), any author is accepted in
//! submission, sender domains are not looked up, and the end of a local part chooses what happens:
//!
//! | local part ends in | effect |
//! |---|---|
//! | `temperror` | 451 |
//! | `permerror` | 550 |
//! | three digits from 400 to 599 | that code |
//! | `timeout` | no answer for an hour, then 451 |
//!
//! Its beginning chooses when: `mailfrom` (a sender) at MAIL, `rcptto` (a recipient) at RCPT, `queue` (a recipient) not
//! in submission but when the queue delivers, anything else (a recipient) at the end of the message.
//! `alice-permerror@example.org` is refused at the end of the message, `rcptto421@example.org` at RCPT.

use std::time::Duration;

use mailstead_names::Localpart;

/// Whether this is a server for trying things out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sandbox {
    /// A real one.
    Off,
    /// Local parts provoke failures.
    On,
}

/// When a provoked failure happens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Moment {
    MailFrom,
    RcptTo,
    EndOfData,
    QueueDelivery,
}

/// What a local part provokes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Provocation {
    pub(crate) moment: Moment,
    /// Silence before the reply.
    pub(crate) silence: Duration,
    pub(crate) code: u16,
}

/// How long `timeout` stays silent: longer than any client waits.
const SILENCE: Duration = Duration::from_secs(3600);

impl Sandbox {
    /// What this local part provokes here.
    pub(crate) fn provocation(self, localpart: &Localpart) -> Option<Provocation> {
        if self == Sandbox::Off {
            return None;
        }
        let localpart = localpart.as_str();
        let moment = [("mailfrom", Moment::MailFrom), ("rcptto", Moment::RcptTo), ("queue", Moment::QueueDelivery)]
            .into_iter()
            .find(|(prefix, _)| localpart.starts_with(prefix))
            .map_or(Moment::EndOfData, |(_, moment)| moment);
        let (code, silence) = if localpart.ends_with("temperror") {
            (451, Duration::ZERO)
        } else if localpart.ends_with("permerror") {
            (550, Duration::ZERO)
        } else if localpart.ends_with("timeout") {
            (451, SILENCE)
        } else {
            let digits = localpart.len().checked_sub(3).and_then(|start| localpart.get(start..))?;
            let code = digits.parse().ok().filter(|code| (400..600).contains(code))?;
            (code, Duration::ZERO)
        };
        Some(Provocation { moment, silence, code })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn local_parts_choose_effect_and_moment() {
        let provoke = |localpart: &str| Sandbox::On.provocation(&Localpart::new(localpart).unwrap());
        let at = |moment, code, silence| Some(Provocation { moment, code, silence: Duration::from_secs(silence) });
        assert_eq!(provoke("a-temperror"), at(Moment::EndOfData, 451, 0));
        assert_eq!(provoke("permerror"), at(Moment::EndOfData, 550, 0));
        assert_eq!(provoke("rcptto421"), at(Moment::RcptTo, 421, 0));
        assert_eq!(provoke("mailfromtimeout"), at(Moment::MailFrom, 451, 3600));
        assert_eq!(provoke("queue599"), at(Moment::QueueDelivery, 599, 0));
        for harmless in ["you", "a600", "a399", "99", "temperror1", "+40", "é45"] {
            assert_eq!(provoke(harmless), None, "{harmless}");
        }
        assert_eq!(Sandbox::Off.provocation(&Localpart::new("permerror").unwrap()), None);
    }
}
