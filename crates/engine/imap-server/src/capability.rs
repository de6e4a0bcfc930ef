//! CAPABILITY: exactly what is honoured, in the state the session is in (RFC 9051 §6.1.1, §7.2.2).

use std::borrow::Cow;

use crate::session::Session;

/// Honoured in every state that has the commands for it.
const ALWAYS: &[&str] = &[
    "IMAP4rev2",
    "IMAP4rev1",
    "LITERAL+",
    "SASL-IR",
    "ENABLE",
    "ID",
    "IDLE",
    "NAMESPACE",
    "UNSELECT",
    "UIDPLUS",
    "MOVE",
    "CHILDREN",
    "LIST-EXTENDED",
    "LIST-STATUS",
    "SPECIAL-USE",
    "CREATE-SPECIAL-USE",
    "STATUS=SIZE",
    "ESEARCH",
    "SEARCHRES",
    "BINARY",
    "UTF8=ACCEPT",
    "CONDSTORE",
    "QRESYNC",
];

impl Session {
    /// The capabilities at this moment.
    pub(crate) fn capabilities(&self) -> Vec<Cow<'static, str>> {
        let mut list: Vec<Cow<'static, str>> = ALWAYS.iter().copied().map(Cow::Borrowed).collect();
        // RFC 7889: a client that reads this with 32 bits must not find 0.
        list.push(format!("APPENDLIMIT={}", self.append_limit()).into());
        if self.account().is_some() {
            return list;
        }
        if self.tls_to_start().is_some() {
            list.push("STARTTLS".into());
        }
        if !self.may_send_password() {
            list.push("LOGINDISABLED".into());
        }
        list.extend(self.mechanisms().into_iter().map(|mechanism| format!("AUTH={}", mechanism.name()).into()));
        list
    }
}
