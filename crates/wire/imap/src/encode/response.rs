//! Responses other than FETCH.

use std::borrow::Cow;

use super::Encoder;
use crate::response::{ChildInfo, Code, ESearch, IdField, ListAttribute, ListEntry, Response, StatusResponse};
use crate::{MailboxName, UidSet};

/// Longest VANISHED line, in octets of UIDs.
const VANISHED_LINE: usize = 4000;

pub(super) fn write(out: &mut Encoder, response: &Response) {
    match response {
        Response::Status(status) => status_response(out, status),
        Response::Continue(text) => {
            out.put("+ ");
            out.text(text);
        }
        Response::Capability(names) => words(out, "* CAPABILITY", names),
        Response::Enabled(names) => words(out, "* ENABLED", names),
        Response::Id(fields) => id(out, fields.as_deref()),
        Response::Flags(flags) => {
            out.put("* FLAGS ");
            out.list(flags, Encoder::put);
        }
        Response::Exists(count) => out.put(format_args!("* {count} EXISTS")),
        Response::Recent(count) => out.put(format_args!("* {count} RECENT")),
        Response::Expunge(sequence) => out.put(format_args!("* {sequence} EXPUNGE")),
        Response::Vanished { earlier, uids } => return vanished(out, *earlier, uids),
        Response::Search { numbers, modseq } => search(out, numbers, *modseq),
        Response::ESearch(result) => esearch(out, result),
        Response::List(entry) => list_entry(out, "LIST", entry),
        Response::Lsub(entry) => list_entry(out, "LSUB", entry),
        Response::MailboxStatus { mailbox, items } => {
            out.put("* STATUS ");
            out.mailbox(mailbox);
            out.put(' ');
            out.list(items, |out, (item, value)| match value {
                Some(value) => out.put(format_args!("{} {value}", item.name())),
                None => out.put(format_args!("{} NIL", item.name())),
            });
        }
        Response::Namespace => out.put("* NAMESPACE ((\"\" \"/\")) NIL NIL"),
    }
    out.put("\r\n");
}

fn words(out: &mut Encoder, keyword: &str, words: &[Cow<'static, str>]) {
    out.put(keyword);
    for word in words {
        out.put(format_args!(" {word}"));
    }
}

fn id(out: &mut Encoder, fields: Option<&[IdField]>) {
    out.put("* ID ");
    match fields {
        None => out.put("NIL"),
        Some(fields) => out.list(fields, |out, (name, value)| {
            out.string(name);
            out.put(' ');
            out.nstring(value.as_deref());
        }),
    }
}

/// `expunged-resp = "VANISHED" [SP "(EARLIER)"] SP known-uids` (RFC 7162 §7)
fn vanished(out: &mut Encoder, earlier: bool, uids: &UidSet) {
    let keyword = if earlier { "VANISHED (EARLIER)" } else { "VANISHED" };
    for line in uids.lines(VANISHED_LINE) {
        out.put(format_args!("* {keyword} {line}\r\n"));
    }
}

/// `"SEARCH" *(SP nz-number) [SP search-sort-mod-seq]` (RFC 7162 §7: only with numbers)
fn search(out: &mut Encoder, numbers: &[u32], modseq: Option<u64>) {
    out.put("* SEARCH");
    for number in numbers {
        out.put(format_args!(" {number}"));
    }
    if let (Some(modseq), false) = (modseq, numbers.is_empty()) {
        out.put(format_args!(" (MODSEQ {modseq})"));
    }
}

/// `esearch-response = "ESEARCH" [search-correlator] [SP "UID"] *(SP search-return-data)` (RFC 4731 §4)
fn esearch(out: &mut Encoder, result: &ESearch) {
    out.put("* ESEARCH");
    if let Some(tag) = &result.tag {
        out.put(" (TAG ");
        out.string(tag.as_str());
        out.put(')');
    }
    if result.uid {
        out.put(" UID");
    }
    let numbers = [("MIN", result.min), ("MAX", result.max)];
    for (name, number) in numbers {
        if let Some(number) = number {
            out.put(format_args!(" {name} {number}"));
        }
    }
    if let Some(all) = result.all.as_ref().filter(|all| !all.is_empty()) {
        out.put(format_args!(" ALL {all}"));
    }
    if let Some(count) = result.count {
        out.put(format_args!(" COUNT {count}"));
    }
    if let Some(modseq) = result.modseq {
        out.put(format_args!(" MODSEQ {modseq}"));
    }
}

/// `mailbox-list = "(" [mbx-list-flags] ")" SP (DQUOTE QUOTED-CHAR DQUOTE / nil) SP mailbox [SP mbox-list-extended]`
fn list_entry(out: &mut Encoder, keyword: &str, entry: &ListEntry) {
    out.put(format_args!("* {keyword} "));
    out.list(&entry.attributes, |out, attribute| match attribute {
        ListAttribute::SpecialUse(special_use) => out.put(special_use),
        other => out.put(attribute_name(other)),
    });
    out.put(format_args!(" \"{}\" ", MailboxName::DELIMITER));
    out.mailbox(&entry.mailbox);
    if entry.child_info.is_empty() && entry.old_name.is_none() {
        return;
    }
    out.put(" (");
    if !entry.child_info.is_empty() {
        out.put("\"CHILDINFO\" ");
        out.list(&entry.child_info, |out, option| match option {
            ChildInfo::Subscribed => out.put("\"SUBSCRIBED\""),
            ChildInfo::SpecialUse => out.put("\"SPECIAL-USE\""),
        });
    }
    if let Some(old_name) = &entry.old_name {
        let space = if entry.child_info.is_empty() { "" } else { " " };
        out.put(format_args!("{space}\"OLDNAME\" ("));
        out.mailbox(old_name);
        out.put(')');
    }
    out.put(')');
}

fn attribute_name(attribute: &ListAttribute) -> &'static str {
    match attribute {
        ListAttribute::NonExistent => "\\NonExistent",
        ListAttribute::NoSelect => "\\Noselect",
        ListAttribute::NoInferiors => "\\Noinferiors",
        ListAttribute::HasChildren => "\\HasChildren",
        ListAttribute::HasNoChildren => "\\HasNoChildren",
        ListAttribute::Marked => "\\Marked",
        ListAttribute::Unmarked => "\\Unmarked",
        ListAttribute::Subscribed => "\\Subscribed",
        ListAttribute::Remote => "\\Remote",
        // Written with its own name by the caller.
        ListAttribute::SpecialUse(_) => "",
    }
}

/// `(tag / "*") SP ("OK" / "NO" / "BAD" / "PREAUTH" / "BYE") SP ["[" resp-text-code "]" SP] text`
fn status_response(out: &mut Encoder, status: &StatusResponse) {
    match &status.tag {
        Some(tag) => out.put(tag),
        None => out.put('*'),
    }
    out.put(format_args!(" {} ", status.condition.name()));
    if let Some(code) = &status.code {
        out.put('[');
        response_code(out, code);
        out.put("] ");
    }
    out.text(&status.text);
}

/// `resp-text-code` (RFC 9051 §9, RFC 5530, RFC 7162 §7)
fn response_code(out: &mut Encoder, code: &Code) {
    match code {
        Code::AppendUid { uid_validity, uid } => out.put(format_args!("APPENDUID {uid_validity} {uid}")),
        Code::Capability(names) => words(out, "CAPABILITY", names),
        Code::CopyUid { uid_validity, from, to } => out.put(format_args!("COPYUID {uid_validity} {from} {to}")),
        Code::Downgraded(uids) => out.put(format_args!("DOWNGRADED {uids}")),
        Code::HighestModSeq(modseq) => out.put(format_args!("HIGHESTMODSEQ {modseq}")),
        Code::Modified(set) => out.put(format_args!("MODIFIED {set}")),
        Code::PermanentFlags(flags) => {
            out.put("PERMANENTFLAGS ");
            out.list(flags, Encoder::put);
        }
        Code::UidNext(uid) => out.put(format_args!("UIDNEXT {uid}")),
        Code::UidValidity(value) => out.put(format_args!("UIDVALIDITY {value}")),
        Code::Unseen(sequence) => out.put(format_args!("UNSEEN {sequence}")),
        plain => out.put(plain_code(plain)),
    }
}

/// The codes that are a word and nothing else.
fn plain_code(code: &Code) -> &'static str {
    match code {
        Code::Alert => "ALERT",
        Code::AlreadyExists => "ALREADYEXISTS",
        Code::AuthenticationFailed => "AUTHENTICATIONFAILED",
        Code::AuthorizationFailed => "AUTHORIZATIONFAILED",
        Code::BadCharset => "BADCHARSET (US-ASCII UTF-8)",
        Code::Cannot => "CANNOT",
        Code::ClientBug => "CLIENTBUG",
        Code::Closed => "CLOSED",
        Code::ContactAdmin => "CONTACTADMIN",
        Code::Corruption => "CORRUPTION",
        Code::Expired => "EXPIRED",
        Code::ExpungeIssued => "EXPUNGEISSUED",
        Code::HasChildren => "HASCHILDREN",
        Code::InUse => "INUSE",
        Code::Limit => "LIMIT",
        Code::NoModSeq => "NOMODSEQ",
        Code::NonExistent => "NONEXISTENT",
        Code::NoPerm => "NOPERM",
        Code::NotSaved => "NOTSAVED",
        Code::OverQuota => "OVERQUOTA",
        Code::Parse => "PARSE",
        Code::PrivacyRequired => "PRIVACYREQUIRED",
        Code::ReadOnly => "READ-ONLY",
        Code::ReadWrite => "READ-WRITE",
        Code::ServerBug => "SERVERBUG",
        Code::TooBig => "TOOBIG",
        Code::TryCreate => "TRYCREATE",
        Code::UidNotSticky => "UIDNOTSTICKY",
        Code::Unavailable => "UNAVAILABLE",
        Code::UnknownCte => "UNKNOWN-CTE",
        Code::UseAttr => "USEATTR",
        // Those with arguments, written by the caller.
        Code::AppendUid { .. }
        | Code::Capability(_)
        | Code::CopyUid { .. }
        | Code::Downgraded(_)
        | Code::HighestModSeq(_)
        | Code::Modified(_)
        | Code::PermanentFlags(_)
        | Code::UidNext(_)
        | Code::UidValidity(_)
        | Code::Unseen(_) => "",
    }
}
