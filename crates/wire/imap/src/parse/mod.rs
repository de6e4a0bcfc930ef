//! Parsing of commands (RFC 9051 §9 and the extensions listed at the crate's root).
//!
//! The parser works on a whole command, literals in place, or on its beginning: then it answers [`Error::Incomplete`]
//! as long as the beginning is right, so that a literal is only asked for if it can still help.

mod cursor;
mod fetch;
mod list;
mod search;
mod select;
mod values;

#[cfg(test)]
mod tests;

pub(crate) use cursor::{Cursor, EmptyList, LiteralHeader, Synchronisation, is_astring_char, is_atom_char};
#[cfg(test)]
pub(crate) use values::sequence_set;
pub(crate) use values::{base64, decode_name, uid_set};

use mailstead_names::Secret;

use crate::command::{Append, AppendForm, Command, Numbering, Request, SpecialUse, Store, StoreAction, Tag, Transfer};
use crate::{Error, NameEncoding};

type Result<T> = std::result::Result<T, Error>;

/// What a command's octets turned out to be.
#[derive(Debug, Clone)]
pub(crate) enum Parsed {
    /// A complete command.
    Request(Request),
    /// APPEND up to and including the header of its message literal.
    Append(Append, Synchronisation),
}

/// A command that could not be parsed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// The tag to answer to, if there was one.
    pub tag: Option<Tag>,
    /// What is wrong.
    pub error: Error,
}

/// Parses one complete command: its lines with their CRLF and its literals in place. An APPEND is not complete in this
/// sense, because its message is streamed by [`crate::server::Session`].
///
/// # Errors
/// [`Error::Incomplete`] if more octets are needed, otherwise what is wrong and where.
pub fn request(input: &[u8], names: NameEncoding) -> std::result::Result<Request, Failure> {
    match command(input, names)? {
        Parsed::Request(request) => Ok(request),
        Parsed::Append(append, _) => Err(Failure { tag: Some(append.tag), error: Error::Incomplete }),
    }
}

/// `command = tag SP (command-any / command-auth / command-nonauth / command-select) CRLF`
pub(crate) fn command(input: &[u8], names: NameEncoding) -> std::result::Result<Parsed, Failure> {
    let mut parser = Parser { cursor: Cursor::new(input), names };
    let tag = parser.tag().map_err(|error| Failure { tag: None, error })?;
    parser.after_tag(&tag).map_err(|error| Failure { tag: Some(tag), error })
}

/// Whether an octet may be in a tag: `tag = 1*<any ASTRING-CHAR except "+">`.
pub(crate) fn is_tag_char(octet: u8) -> bool {
    octet != b'+' && is_astring_char(octet)
}

/// A cursor together with what the session has agreed on.
#[derive(Debug)]
struct Parser<'a> {
    cursor: Cursor<'a>,
    names: NameEncoding,
}

impl Parser<'_> {
    fn tag(&mut self) -> Result<Tag> {
        let octets = self.cursor.take_while(is_tag_char)?;
        let tag = std::str::from_utf8(octets).ok().and_then(Tag::new);
        tag.ok_or_else(|| self.cursor.expected("a tag"))
    }

    fn after_tag(&mut self, tag: &Tag) -> Result<Parsed> {
        self.cursor.expect(b' ', "a space after the tag")?;
        let name = self.cursor.atom("a command")?.to_ascii_uppercase();
        if name == "APPEND" {
            return self.append(tag);
        }
        let command = self.arguments(&name)?;
        self.cursor.crlf()?;
        Ok(Parsed::Request(Request { tag: tag.clone(), command }))
    }

    fn arguments(&mut self, name: &str) -> Result<Command> {
        Ok(match name {
            "CAPABILITY" => Command::Capability,
            "NOOP" => Command::Noop,
            "LOGOUT" => Command::Logout,
            "STARTTLS" => Command::StartTls,
            "NAMESPACE" => Command::Namespace,
            "IDLE" => Command::Idle,
            "CHECK" => Command::Check,
            "CLOSE" => Command::Close,
            "UNSELECT" => Command::Unselect,
            "EXPUNGE" => Command::Expunge,
            "ID" => self.id()?,
            "AUTHENTICATE" => self.authenticate()?,
            "LOGIN" => self.login()?,
            "ENABLE" => self.enable()?,
            "SELECT" => self.select(crate::command::Access::ReadWrite)?,
            "EXAMINE" => self.select(crate::command::Access::ReadOnly)?,
            "CREATE" => self.create()?,
            "DELETE" => Command::Delete(self.mailbox_argument()?),
            "RENAME" => Command::Rename { from: self.mailbox_argument()?, to: self.mailbox_argument()? },
            "SUBSCRIBE" => Command::Subscribe(self.mailbox_argument()?),
            "UNSUBSCRIBE" => Command::Unsubscribe(self.mailbox_argument()?),
            "LIST" => self.list()?,
            "LSUB" => self.lsub()?,
            "STATUS" => self.status()?,
            "UID" => self.uid()?,
            _ => return self.numbered(name, Numbering::Sequence),
        })
    }

    /// `uid = "UID" SP (copy / move / fetch / search / store / uid-expunge)`
    fn uid(&mut self) -> Result<Command> {
        self.cursor.space()?;
        let name = self.cursor.atom("a command after UID")?.to_ascii_uppercase();
        if name == "EXPUNGE" {
            return Ok(Command::UidExpunge(self.message_set_argument()?));
        }
        self.numbered(&name, Numbering::Uid)
    }

    /// The commands that exist with sequence numbers and with UIDs.
    fn numbered(&mut self, name: &str, numbering: Numbering) -> Result<Command> {
        Ok(match name {
            "FETCH" => Command::Fetch(self.fetch(numbering)?),
            "SEARCH" => Command::Search(self.search(numbering)?),
            "STORE" => Command::Store(self.store(numbering)?),
            "COPY" => Command::Copy(self.transfer(numbering)?),
            "MOVE" => Command::Move(self.transfer(numbering)?),
            _ => {
                let prefix = if numbering == Numbering::Uid { "UID " } else { "" };
                return Err(Error::UnknownCommand(format!("{prefix}{name}")));
            }
        })
    }

    /// `id = "ID" SP id-params-list`, `id-params-list = "(" *(string SP nstring) ")" / nil` (RFC 2971 §4)
    ///
    /// Atoms are taken for strings too: some clients forget the quotes.
    fn id(&mut self) -> Result<Command> {
        self.cursor.space()?;
        if self.cursor.eat_keyword("NIL")? {
            return Ok(Command::Id(None));
        }
        let fields = self.cursor.list(EmptyList::Allowed, "NIL or \"(\"", |cursor| {
            let name = cursor.text("a field name")?;
            cursor.space()?;
            let quoted = cursor.peek()? == b'"';
            let value = cursor.text("a field value or NIL")?;
            let nil = !quoted && value.eq_ignore_ascii_case("NIL");
            Ok((name, (!nil).then_some(value)))
        })?;
        Ok(Command::Id(Some(fields)))
    }

    /// `authenticate = "AUTHENTICATE" SP auth-type [SP initial-resp] *(CRLF base64)`, `initial-resp = base64 / "="`
    fn authenticate(&mut self) -> Result<Command> {
        self.cursor.space()?;
        let mechanism = self.cursor.atom("a SASL mechanism")?.to_ascii_uppercase();
        let initial_response = if self.cursor.eat(b' ')? {
            let octets = self.cursor.take_while(|octet| octet.is_ascii_graphic())?;
            match octets {
                b"" => return Err(self.cursor.expected("an initial response in base64, or \"=\"")),
                b"=" => Some(Secret::new(Vec::new())),
                _ => {
                    let decoded = values::base64(octets);
                    Some(decoded.ok_or_else(|| self.cursor.bad_value("an initial response that is not base64"))?)
                }
            }
        } else {
            None
        };
        Ok(Command::Authenticate { mechanism, initial_response })
    }

    /// `login = "LOGIN" SP userid SP password`, both astring
    fn login(&mut self) -> Result<Command> {
        self.cursor.space()?;
        let user = self.cursor.text("a user name")?;
        self.cursor.space()?;
        let password = Secret::new(self.cursor.text("a password")?);
        Ok(Command::Login { user, password })
    }

    /// `enable = "ENABLE" 1*(SP capability)`
    fn enable(&mut self) -> Result<Command> {
        let mut names = Vec::new();
        loop {
            self.cursor.space()?;
            names.push(self.cursor.atom("a capability")?.to_ascii_uppercase());
            if self.cursor.at_line_end()? {
                return Ok(Command::Enable(names));
            }
        }
    }

    /// `create = "CREATE" SP mailbox [SP "(" create-param *(SP create-param) ")"]` (RFC 4466)
    ///
    /// `create-param =/ "USE" SP "(" [use-attr *(SP use-attr)] ")"` (RFC 6154 §6)
    fn create(&mut self) -> Result<Command> {
        let mailbox = self.mailbox_argument()?;
        let mut special_use = Vec::new();
        if self.cursor.eat(b' ')? {
            self.cursor.list(EmptyList::Refused, "\"(\" of the CREATE parameters", |cursor| {
                if !cursor.eat_keyword("USE")? {
                    return Err(cursor.expected("USE"));
                }
                cursor.space()?;
                special_use = cursor.list(EmptyList::Allowed, "a list of special uses", |cursor| {
                    cursor.expect(b'\\', "a special use, such as \\Sent")?;
                    Ok(SpecialUse::from_name(cursor.atom("the name of a special use")?))
                })?;
                Ok(())
            })?;
        }
        Ok(Command::Create { mailbox, special_use })
    }

    /// `store = "STORE" SP sequence-set [SP store-modifiers] SP store-att-flags`
    ///
    /// `store-modifiers = "(" "UNCHANGEDSINCE" SP mod-sequence-valzer ")"` (RFC 7162 §7)
    ///
    /// `store-att-flags = (["+" / "-"] "FLAGS" [".SILENT"]) SP (flag-list / (flag *(SP flag)))`
    fn store(&mut self, numbering: Numbering) -> Result<Store> {
        let set = self.message_set_argument()?;
        self.cursor.space()?;
        let mut unchanged_since = None;
        if self.cursor.peek()? == b'(' {
            self.cursor.list(EmptyList::Refused, "STORE modifiers", |cursor| {
                if unchanged_since.is_some() || !cursor.eat_keyword("UNCHANGEDSINCE")? {
                    return Err(cursor.expected("one UNCHANGEDSINCE"));
                }
                cursor.space()?;
                unchanged_since = Some(cursor.number64()?);
                Ok(())
            })?;
            self.cursor.space()?;
        }
        let action = if self.cursor.eat(b'+')? {
            StoreAction::Add
        } else if self.cursor.eat(b'-')? {
            StoreAction::Remove
        } else {
            StoreAction::Replace
        };
        let position = self.cursor.position();
        let silent = match self.cursor.keyword("FLAGS")?.as_str() {
            "FLAGS" => false,
            "FLAGS.SILENT" => true,
            _ => return Err(self.cursor.expected_at(position, "FLAGS or FLAGS.SILENT")),
        };
        self.cursor.space()?;
        let flags = if self.cursor.peek()? == b'(' {
            self.cursor.list(EmptyList::Allowed, "flags", values::flag)?
        } else {
            let mut flags = vec![values::flag(&mut self.cursor)?];
            while self.cursor.eat(b' ')? {
                flags.push(values::flag(&mut self.cursor)?);
            }
            flags
        };
        Ok(Store { numbering, set, unchanged_since, action, silent, flags })
    }

    /// `copy = "COPY" SP sequence-set SP mailbox`; MOVE alike
    fn transfer(&mut self, numbering: Numbering) -> Result<Transfer> {
        Ok(Transfer { numbering, set: self.message_set_argument()?, mailbox: self.mailbox_argument()? })
    }

    /// `append = "APPEND" SP mailbox [SP flag-list] [SP date-time] SP append-data`
    ///
    /// `append-data = literal / literal8 / "UTF8" SP "(" literal8 ")"` (RFC 4466, RFC 3516, RFC 6855 §4)
    fn append(&mut self, tag: &Tag) -> Result<Parsed> {
        let mailbox = self.mailbox_argument()?;
        self.cursor.space()?;
        let mut flags = Vec::new();
        if self.cursor.peek()? == b'(' {
            flags = self.cursor.list(EmptyList::Allowed, "flags", values::flag)?;
            self.cursor.space()?;
        }
        let mut date = None;
        if self.cursor.peek()? == b'"' {
            date = Some(values::date_time(&mut self.cursor)?);
            self.cursor.space()?;
        }
        let utf8 = !matches!(self.cursor.peek()?, b'{' | b'~');
        if utf8 {
            if !self.cursor.eat_keyword("UTF8")? {
                return Err(self.cursor.expected("flags, a date or a literal"));
            }
            self.cursor.space()?;
            self.cursor.expect(b'(', "\"(\" after UTF8")?;
            if self.cursor.peek()? != b'~' {
                return Err(self.cursor.expected("a binary literal (\"~{\") after UTF8 ("));
            }
        }
        let header = self.cursor.literal_header()?;
        let form = match (utf8, header.binary) {
            (true, _) => AppendForm::Utf8,
            (false, true) => AppendForm::Binary,
            (false, false) => AppendForm::Literal,
        };
        let append = Append { tag: tag.clone(), mailbox, flags, date, size: header.size, form };
        Ok(Parsed::Append(append, header.sync))
    }
}
