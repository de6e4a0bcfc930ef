//! The grammar of responses.

use super::{Fetch, ListEntry, Response, Status, Value};
use crate::command::{StatusItem, Tag};
use crate::parse::{Cursor, EmptyList, decode_name, is_astring_char, is_atom_char, is_tag_char, uid_set};
use crate::response::{Condition, ESearch};
use crate::{Error, MailboxName, NameEncoding};

type Result<T> = std::result::Result<T, Error>;

/// Lists within lists, at most: the deepest BODYSTRUCTURE that a server may send.
const MAX_DEPTH: usize = 400;

const CONDITIONS: [(&str, Condition); 5] = [
    ("OK", Condition::Ok),
    ("NO", Condition::No),
    ("BAD", Condition::Bad),
    ("PREAUTH", Condition::PreAuth),
    ("BYE", Condition::Bye),
];

/// One response from the front of `input`, and its length.
///
/// `response = *(continue-req / response-data) response-done`
pub(super) fn response(input: &[u8], names: NameEncoding) -> Result<(Response, usize)> {
    let mut parser = Parser { cursor: Cursor::new(input), names };
    let response = parser.response()?;
    parser.cursor.crlf()?;
    Ok((response, parser.cursor.position()))
}

struct Parser<'a> {
    cursor: Cursor<'a>,
    names: NameEncoding,
}

impl Parser<'_> {
    fn response(&mut self) -> Result<Response> {
        // continue-req = "+" SP (resp-text / base64) CRLF
        if self.cursor.eat(b'+')? {
            self.cursor.space()?;
            return self.line().map(Response::Continue);
        }
        if self.cursor.eat(b'*')? {
            self.cursor.space()?;
            return self.untagged();
        }
        // response-tagged = tag SP resp-cond-state CRLF
        let octets = self.cursor.word(is_tag_char, "a response")?;
        let tag = String::from_utf8_lossy(octets).into_owned();
        self.cursor.space()?;
        let keyword = self.cursor.keyword("OK, NO or BAD")?;
        let condition = CONDITIONS.iter().find(|(name, _)| *name == keyword).map(|(_, condition)| *condition);
        let condition = condition.ok_or_else(|| self.cursor.bad_value("no OK, NO or BAD"))?;
        self.status(Some(tag), condition)
    }

    /// `response-data = "*" SP (resp-cond-state / resp-cond-bye / mailbox-data / message-data / capability-data /
    /// enable-data) CRLF`
    fn untagged(&mut self) -> Result<Response> {
        if self.cursor.peek()?.is_ascii_digit() {
            return self.numbered();
        }
        let keyword = self.cursor.keyword("a response")?;
        if let Some((_, condition)) = CONDITIONS.iter().find(|(name, _)| *name == keyword) {
            return self.status(None, *condition);
        }
        Ok(match keyword.as_str() {
            "CAPABILITY" => Response::Capability(self.words()?),
            "ENABLED" => Response::Enabled(self.words()?),
            "ID" => Response::Id(self.argument()?),
            "FLAGS" => {
                self.cursor.space()?;
                Response::Flags(self.flags()?)
            }
            "VANISHED" => {
                self.cursor.space()?;
                let earlier = self.cursor.eat(b'(')?;
                if earlier {
                    if !self.cursor.eat_keyword("EARLIER")? {
                        return Err(self.cursor.expected("EARLIER"));
                    }
                    self.cursor.expect(b')', "\")\" after EARLIER")?;
                    self.cursor.space()?;
                }
                Response::Vanished { earlier, uids: uid_set(&mut self.cursor)? }
            }
            "SEARCH" => self.search()?,
            "ESEARCH" => Response::ESearch(self.esearch()?),
            "LIST" => Response::List(self.list_entry()?),
            "LSUB" => Response::Lsub(self.list_entry()?),
            "STATUS" => self.mailbox_status()?,
            "NAMESPACE" => Response::Namespace(vec![self.argument()?, self.argument()?, self.argument()?]),
            _ => return Err(self.cursor.bad_value("an unknown response")),
        })
    }

    /// `number SP "EXISTS" / number SP "RECENT" / message-data`
    ///
    /// `message-data = nz-number SP ("EXPUNGE" / ("FETCH" SP msg-att))`
    fn numbered(&mut self) -> Result<Response> {
        let number = self.cursor.number()?;
        self.cursor.space()?;
        Ok(match self.cursor.keyword("EXISTS, RECENT, EXPUNGE or FETCH")?.as_str() {
            "EXISTS" => Response::Exists(number),
            "RECENT" => Response::Recent(number),
            "EXPUNGE" => Response::Expunge(number),
            "FETCH" => {
                self.cursor.space()?;
                let items = self.cursor.list(EmptyList::Refused, "FETCH items", fetch_item)?;
                Response::Fetch(Fetch { sequence: number, items })
            }
            _ => return Err(self.cursor.bad_value("an unknown response to a message number")),
        })
    }

    /// `SP resp-text`, `resp-text = ["[" resp-text-code "]" SP] [text]`
    fn status(&mut self, tag: Option<String>, condition: Condition) -> Result<Response> {
        self.cursor.space()?;
        let mut code = None;
        if self.cursor.eat(b'[')? {
            let name = self.cursor.keyword("a response code")?;
            let mut arguments = Vec::new();
            while !self.cursor.eat(b']')? {
                self.cursor.space()?;
                arguments.push(value(&mut self.cursor, 0, is_atom_char)?);
            }
            self.cursor.space()?;
            code = Some((name, arguments));
        }
        Ok(Response::Status(Status { tag, condition, code, text: self.line()? }))
    }

    /// `text = 1*(TEXT-CHAR / UTF8-2 / UTF8-3 / UTF8-4)`
    fn line(&mut self) -> Result<String> {
        let octets = self.cursor.take_while(|octet| !b"\r\n\0".contains(&octet))?;
        self.cursor.utf8(octets.into())
    }

    /// `*(SP atom)`
    fn words(&mut self) -> Result<Vec<String>> {
        let mut words = Vec::new();
        while !self.cursor.at_line_end()? {
            self.cursor.space()?;
            words.push(self.cursor.atom("an atom")?.to_owned());
        }
        Ok(words)
    }

    fn argument(&mut self) -> Result<Value> {
        self.cursor.space()?;
        self.argument_value()
    }

    fn argument_value(&mut self) -> Result<Value> {
        value(&mut self.cursor, 0, is_astring_char)
    }

    /// `"(" [flag *(SP flag)] ")"`, also for the attributes of LIST
    fn flags(&mut self) -> Result<Vec<String>> {
        self.cursor.list(EmptyList::Allowed, "flags", |cursor| {
            let backslash = if cursor.eat(b'\\')? { "\\" } else { "" };
            let name = if cursor.eat(b'*')? { "*" } else { cursor.atom("a flag")? };
            Ok(format!("{backslash}{name}"))
        })
    }

    fn mailbox(&mut self) -> Result<MailboxName> {
        let octets = self.cursor.astring("a mailbox name")?;
        Ok(MailboxName::new(&decode_name(&self.cursor, octets, self.names)?))
    }

    /// `"SEARCH" *(SP nz-number) [SP "(" "MODSEQ" SP mod-sequence-value ")"]`
    fn search(&mut self) -> Result<Response> {
        let (mut numbers, mut modseq) = (Vec::new(), None);
        while !self.cursor.at_line_end()? {
            self.cursor.space()?;
            if self.cursor.eat(b'(')? {
                if !self.cursor.eat_keyword("MODSEQ")? {
                    return Err(self.cursor.expected("MODSEQ"));
                }
                self.cursor.space()?;
                modseq = Some(self.cursor.number64()?);
                self.cursor.expect(b')', "\")\" after MODSEQ")?;
                break;
            }
            numbers.push(self.cursor.nz_number()?);
        }
        Ok(Response::Search { numbers, modseq })
    }

    /// `esearch-response = "ESEARCH" [search-correlator] [SP "UID"] *(SP search-return-data)`
    fn esearch(&mut self) -> Result<ESearch> {
        let mut result = ESearch::default();
        while !self.cursor.at_line_end()? {
            self.cursor.space()?;
            if self.cursor.eat(b'(')? {
                if !self.cursor.eat_keyword("TAG")? {
                    return Err(self.cursor.expected("TAG"));
                }
                self.cursor.space()?;
                result.tag = Tag::new(&self.cursor.text("a tag")?);
                self.cursor.expect(b')', "\")\" after the tag")?;
                continue;
            }
            let keyword = self.cursor.keyword("search return data")?;
            if keyword == "UID" {
                result.uid = true;
                continue;
            }
            self.cursor.space()?;
            match keyword.as_str() {
                "MIN" => result.min = Some(self.cursor.nz_number()?),
                "MAX" => result.max = Some(self.cursor.nz_number()?),
                "ALL" => result.all = Some(uid_set(&mut self.cursor)?),
                "COUNT" => result.count = Some(self.cursor.number()?),
                "MODSEQ" => result.modseq = Some(self.cursor.number64()?),
                _ => return Err(self.cursor.bad_value("unknown search return data")),
            }
        }
        Ok(result)
    }

    /// `mailbox-list = "(" [mbx-list-flags] ")" SP (DQUOTE QUOTED-CHAR DQUOTE / nil) SP mailbox [SP mbox-list-extended]`
    fn list_entry(&mut self) -> Result<ListEntry> {
        self.cursor.space()?;
        let attributes = self.flags()?;
        self.cursor.space()?;
        let delimiter = match self.argument_value()? {
            Value::Nil => None,
            Value::String(octets) => match octets.as_slice() {
                [octet] => Some(char::from(*octet)),
                _ => return Err(self.cursor.bad_value("a delimiter that is not one character")),
            },
            _ => return Err(self.cursor.bad_value("a delimiter that is not quoted")),
        };
        self.cursor.space()?;
        let mailbox = self.mailbox()?;
        let mut extended = Vec::new();
        if self.cursor.eat(b' ')? {
            extended = self.cursor.list(EmptyList::Allowed, "extended data", |cursor| {
                let name = cursor.text("the name of an extended data item")?.to_ascii_uppercase();
                cursor.space()?;
                Ok((name, value(cursor, 0, is_astring_char)?))
            })?;
        }
        Ok(ListEntry { attributes, delimiter, mailbox, extended })
    }

    /// `"STATUS" SP mailbox SP "(" [status-att-list] ")"`
    fn mailbox_status(&mut self) -> Result<Response> {
        self.cursor.space()?;
        let mailbox = self.mailbox()?;
        self.cursor.space()?;
        let items = self.cursor.list(EmptyList::Allowed, "status items", |cursor| {
            let name = cursor.keyword("a status item")?;
            let item = StatusItem::NAMED.iter().find(|(known, _)| *known == name).map(|(_, item)| *item);
            let item = item.ok_or_else(|| cursor.bad_value("an unknown status item"))?;
            cursor.space()?;
            let value = if cursor.eat_keyword("NIL")? { None } else { Some(cursor.number64()?) };
            Ok((item, value))
        })?;
        Ok(Response::MailboxStatus { mailbox, items })
    }
}

/// `msg-att-static / msg-att-dynamic`: a name, with section and origin if it has them, and a value
fn fetch_item(cursor: &mut Cursor<'_>) -> Result<(String, Value)> {
    let mut name = cursor.keyword("a FETCH item")?;
    if cursor.eat(b'[')? {
        // Header field names may hold spaces and brackets only when quoted; the encoder here quotes them.
        let section = cursor.take_while(|octet| octet != b']' && octet != b'\r')?;
        name = format!("{name}[{}]", String::from_utf8_lossy(section));
        cursor.expect(b']', "\"]\"")?;
        if cursor.eat(b'<')? {
            name = format!("{name}<{}>", cursor.number64()?);
            cursor.expect(b'>', "\">\"")?;
        }
    }
    cursor.space()?;
    Ok((name, value(cursor, 0, is_astring_char)?))
}

/// Any of nstring, literal8, atom, number, flag, or a list of these. `atom_char` says what ends an atom.
fn value(cursor: &mut Cursor<'_>, depth: usize, atom_char: fn(u8) -> bool) -> Result<Value> {
    if depth > MAX_DEPTH {
        return Err(cursor.bad_value("lists nested too deeply"));
    }
    match cursor.peek()? {
        b'"' => Ok(Value::String(cursor.quoted()?.into_owned())),
        b'{' | b'~' => {
            let header = cursor.literal_header()?;
            Ok(Value::String(cursor.literal_octets(header)?.to_vec()))
        }
        b'(' => {
            cursor.expect(b'(', "a list")?;
            let mut values = Vec::new();
            while !cursor.eat(b')')? {
                // body-type-mpart = 1*body SP ...: bodies follow each other without a space.
                let adjacent = matches!(values.last(), Some(Value::List(_))) && cursor.peek()? == b'(';
                if !values.is_empty() && !adjacent {
                    cursor.space()?;
                }
                values.push(value(cursor, depth + 1, atom_char)?);
            }
            Ok(Value::List(values))
        }
        b'\\' => {
            cursor.expect(b'\\', "a flag")?;
            let name = if cursor.eat(b'*')? { "*" } else { cursor.atom("a flag")? };
            Ok(Value::Atom(format!("\\{name}")))
        }
        _ => {
            let text = String::from_utf8_lossy(cursor.word(atom_char, "a value")?).into_owned();
            Ok(if text.eq_ignore_ascii_case("NIL") { Value::Nil } else { Value::Atom(text) })
        }
    }
}
