//! SELECT and EXAMINE with the parameters of RFC 7162.

use super::{Cursor, EmptyList, Parser, Result, values};
use crate::UidSet;
use crate::command::{Access, Command, Qresync, Select};

impl Parser<'_> {
    /// `select = "SELECT" SP mailbox [SP "(" select-param *(SP select-param) ")"]`
    ///
    /// `select-param = "CONDSTORE" / "QRESYNC" SP "(" uidvalidity SP mod-sequence-value [SP known-uids]
    /// [SP seq-match-data] ")"` (RFC 7162 §7)
    pub(super) fn select(&mut self, access: Access) -> Result<Command> {
        let mut select = Select { mailbox: self.mailbox_argument()?, access, condstore: false, qresync: None };
        if self.cursor.eat(b' ')? {
            self.cursor.list(EmptyList::Refused, "\"(\" of the SELECT parameters", |cursor| {
                let position = cursor.position();
                match cursor.keyword("CONDSTORE or QRESYNC")?.as_str() {
                    "CONDSTORE" => select.condstore = true,
                    "QRESYNC" if select.qresync.is_none() => {
                        cursor.space()?;
                        select.qresync = Some(qresync(cursor)?);
                    }
                    _ => return Err(cursor.expected_at(position, "CONDSTORE or one QRESYNC")),
                }
                Ok(())
            })?;
        }
        Ok(Command::Select(select))
    }
}

fn qresync(cursor: &mut Cursor<'_>) -> Result<Qresync> {
    cursor.expect(b'(', "\"(\" after QRESYNC")?;
    let uid_validity = cursor.nz_number()?;
    cursor.space()?;
    let modseq = cursor.number64()?;
    let mut qresync = Qresync { uid_validity, modseq, known_uids: None, known_sequences: None };
    let mut more = cursor.eat(b' ')?;
    if more && cursor.peek()? != b'(' {
        qresync.known_uids = Some(values::uid_set(cursor)?);
        more = cursor.eat(b' ')?;
    }
    if more {
        qresync.known_sequences = Some(sequence_match(cursor)?);
    }
    cursor.expect(b')', "\")\" at the end of QRESYNC")?;
    Ok(qresync)
}

/// `seq-match-data = "(" known-sequence-set SP known-uid-set ")"`: ascending, without `*`, equally many (RFC 7162 §3.2.5.2)
fn sequence_match(cursor: &mut Cursor<'_>) -> Result<(UidSet, UidSet)> {
    cursor.expect(b'(', "known sequence numbers and UIDs")?;
    let sequences = values::uid_set(cursor)?;
    cursor.space()?;
    let uids = values::uid_set(cursor)?;
    if sequences.len() != uids.len() {
        return Err(cursor.bad_value("fewer or more UIDs than sequence numbers"));
    }
    cursor.expect(b')', "\")\" after the known UIDs")?;
    Ok((sequences, uids))
}
