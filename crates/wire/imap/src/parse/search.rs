//! SEARCH: return options, charset and keys.

use super::{Cursor, EmptyList, Parser, Result, values};
use crate::Flag;
use crate::command::{
    Charset, DateField, DateRelation, ModSeqEntry, ModSeqEntryKind, Numbering, Search, SearchKey, SearchReturn,
};

/// Keys within keys, at most. Honest clients stay below ten; the evaluation may recurse.
const MAX_DEPTH: usize = 50;

impl Parser<'_> {
    /// `search = "SEARCH" [search-return-opts] SP search-program`
    ///
    /// `search-program = ["CHARSET" SP charset SP] search-key *(SP search-key)`
    pub(super) fn search(&mut self, numbering: Numbering) -> Result<Search> {
        let cursor = &mut self.cursor;
        cursor.space()?;
        let mut returns = None;
        if cursor.eat_keyword("RETURN")? {
            cursor.space()?;
            returns = Some(return_options(cursor)?);
            cursor.space()?;
        }
        let mut charset = Charset::Unspecified;
        if cursor.eat_keyword("CHARSET")? {
            cursor.space()?;
            let name = cursor.text("a charset")?;
            let known = ["UTF-8", "US-ASCII"].iter().any(|known| known.eq_ignore_ascii_case(&name));
            charset = if known { Charset::Utf8 } else { Charset::Unsupported(name) };
            cursor.space()?;
        }
        let mut keys = Keys { cursor, foreign: matches!(charset, Charset::Unsupported(_)) };
        let mut program = vec![keys.key(0)?];
        while keys.cursor.eat(b' ')? {
            program.push(keys.key(0)?);
        }
        let key = if program.len() == 1 { program.remove(0) } else { SearchKey::And(program) };
        Ok(Search { numbering, returns, charset, key })
    }
}

/// `search-return-opts = SP "RETURN" SP "(" [search-return-opt *(SP search-return-opt)] ")"`
///
/// `search-return-opt = "MIN" / "MAX" / "ALL" / "COUNT" / "SAVE"`
fn return_options(cursor: &mut Cursor<'_>) -> Result<SearchReturn> {
    let mut returns = SearchReturn::default();
    let options = cursor.list(EmptyList::Allowed, "return options", |cursor| {
        let position = cursor.position();
        match cursor.keyword("a return option")?.as_str() {
            "MIN" => returns.min = true,
            "MAX" => returns.max = true,
            "ALL" => returns.all = true,
            "COUNT" => returns.count = true,
            "SAVE" => returns.save = true,
            _ => return Err(cursor.expected_at(position, "MIN, MAX, ALL, COUNT or SAVE")),
        }
        Ok(())
    })?;
    // RFC 4731 §3.1: an empty list means ALL.
    returns.all |= options.is_empty();
    Ok(returns)
}

/// Reads keys whose strings are UTF-8, or in a foreign charset that the command will be refused for.
struct Keys<'c, 'a> {
    cursor: &'c mut Cursor<'a>,
    foreign: bool,
}

impl Keys<'_, '_> {
    fn key(&mut self, depth: usize) -> Result<SearchKey> {
        if depth > MAX_DEPTH {
            return Err(self.cursor.bad_value("search keys nested too deeply"));
        }
        match self.cursor.peek()? {
            b'(' => {
                let foreign = self.foreign;
                let mut keys = self
                    .cursor
                    .list(EmptyList::Refused, "search keys", |cursor| Keys { cursor, foreign }.key(depth + 1))?;
                Ok(if keys.len() == 1 { keys.remove(0) } else { SearchKey::And(keys) })
            }
            b'0'..=b'9' | b'*' | b'$' => values::message_set(self.cursor).map(SearchKey::Sequence),
            _ => self.named(depth),
        }
    }

    /// The keys of RFC 9051 §6.4.4 that begin with a word, those of RFC 3501 (NEW, OLD, RECENT), and MODSEQ.
    fn named(&mut self, depth: usize) -> Result<SearchKey> {
        let position = self.cursor.position();
        let name = self.cursor.keyword("a search key")?;
        if let Some((_, flag)) = FLAG_KEYS.iter().find(|(word, _)| *word == name) {
            return Ok(SearchKey::Has(flag.clone()));
        }
        let unset = name.strip_prefix("UN").and_then(|rest| FLAG_KEYS.iter().find(|(word, _)| *word == rest));
        // There is no UNRECENT: its name is OLD.
        if let Some((_, flag)) = unset.filter(|(_, flag)| *flag != Flag::Recent) {
            return Ok(SearchKey::Lacks(flag.clone()));
        }
        if let Some((_, field, relation)) = DATE_KEYS.iter().find(|(word, ..)| *word == name) {
            self.cursor.space()?;
            return Ok(SearchKey::Date { field: *field, relation: *relation, date: values::date(self.cursor)? });
        }
        Ok(match name.as_str() {
            "ALL" => SearchKey::All,
            "NEW" => SearchKey::And(vec![SearchKey::Has(Flag::Recent), SearchKey::Lacks(Flag::Seen)]),
            "OLD" => SearchKey::Lacks(Flag::Recent),
            "KEYWORD" => SearchKey::Has(self.flag_keyword()?),
            "UNKEYWORD" => SearchKey::Lacks(self.flag_keyword()?),
            "BCC" | "CC" | "FROM" | "SUBJECT" | "TO" => SearchKey::Header { field: name, value: self.text_argument()? },
            "HEADER" => SearchKey::Header { field: self.text_argument()?, value: self.text_argument()? },
            "BODY" => SearchKey::Body(self.text_argument()?),
            "TEXT" => SearchKey::Text(self.text_argument()?),
            "LARGER" => SearchKey::Larger(self.number_argument()?),
            "SMALLER" => SearchKey::Smaller(self.number_argument()?),
            "UID" => {
                self.cursor.space()?;
                SearchKey::Uid(values::message_set(self.cursor)?)
            }
            "MODSEQ" => self.modseq()?,
            "NOT" => SearchKey::Not(self.key_argument(depth)?),
            "OR" => self.alternatives(depth)?,
            _ => return Err(self.cursor.expected_at(position, "a search key")),
        })
    }

    fn key_argument(&mut self, depth: usize) -> Result<Box<SearchKey>> {
        self.cursor.space()?;
        self.key(depth + 1).map(Box::new)
    }

    /// The keys of `"OR" SP search-key SP search-key`. Where there are many alternatives clients must write OR within OR,
    /// on either side; in whatever order, each adds one key to a single list, and no depth.
    fn alternatives(&mut self, depth: usize) -> Result<SearchKey> {
        let mut keys = Vec::new();
        let mut missing = 2;
        while missing > 0 {
            self.cursor.space()?;
            if self.cursor.eat_keyword("OR")? {
                missing += 1;
            } else {
                keys.push(self.key(depth + 1)?);
                missing -= 1;
            }
        }
        Ok(SearchKey::Or(keys))
    }

    fn number_argument(&mut self) -> Result<u64> {
        self.cursor.space()?;
        self.cursor.number64()
    }

    fn text_argument(&mut self) -> Result<String> {
        self.cursor.space()?;
        let octets = self.cursor.astring("a string to search for")?;
        if self.foreign { Ok(String::from_utf8_lossy(&octets).into_owned()) } else { self.cursor.utf8(octets) }
    }

    /// `flag-keyword`: an atom. System flags have keys of their own.
    fn flag_keyword(&mut self) -> Result<Flag> {
        self.cursor.space()?;
        Ok(Flag::Keyword(self.cursor.atom("a keyword")?.to_owned()))
    }

    /// `search-modsequence = "MODSEQ" [SP entry-name SP entry-type-req] SP mod-sequence-valzer` (RFC 7162 §7)
    fn modseq(&mut self) -> Result<SearchKey> {
        self.cursor.space()?;
        let mut entry = None;
        if self.cursor.peek()? == b'"' {
            let octets = self.cursor.quoted()?;
            let name = self.cursor.utf8(octets)?;
            self.cursor.space()?;
            let position = self.cursor.position();
            let kind = match self.cursor.keyword("priv, shared or all")?.as_str() {
                "PRIV" => ModSeqEntryKind::Private,
                "SHARED" => ModSeqEntryKind::Shared,
                "ALL" => ModSeqEntryKind::All,
                _ => return Err(self.cursor.expected_at(position, "priv, shared or all")),
            };
            entry = Some(ModSeqEntry { name, kind });
            self.cursor.space()?;
        }
        Ok(SearchKey::ModSeq { entry, at_least: self.cursor.number64()? })
    }
}

const FLAG_KEYS: [(&str, Flag); 6] = [
    ("ANSWERED", Flag::Answered),
    ("DELETED", Flag::Deleted),
    ("DRAFT", Flag::Draft),
    ("FLAGGED", Flag::Flagged),
    ("RECENT", Flag::Recent),
    ("SEEN", Flag::Seen),
];

const DATE_KEYS: [(&str, DateField, DateRelation); 6] = [
    ("BEFORE", DateField::Internal, DateRelation::Before),
    ("ON", DateField::Internal, DateRelation::On),
    ("SINCE", DateField::Internal, DateRelation::Since),
    ("SENTBEFORE", DateField::Sent, DateRelation::Before),
    ("SENTON", DateField::Sent, DateRelation::On),
    ("SENTSINCE", DateField::Sent, DateRelation::Since),
];
