//! Checks that read every message: what was found in it when it was stored, against what is found now.

use super::{Area, Findings};
use crate::content::Content;
use crate::error::{Error, Result};
use crate::ids::UidSet;
use crate::messages::{Detail, MessageRow};
use crate::search::Terms;
use crate::transaction::Read;

/// Messages whose rows are read at once.
const BATCH: usize = 100;

pub(super) fn check_contents(read: &Read<'_>, findings: &mut Findings) -> Result<()> {
    for mailbox in read.mailboxes()? {
        let mut rest = UidSet::all();
        loop {
            let rows = read.messages(mailbox.id, &rest, Detail::Content, BATCH)?;
            let Some(last) = rows.last() else { break };
            rest = rest.after(last.state.uid);
            for row in &rows {
                match check_message(read, row, findings) {
                    // The rules about rows and files have said which.
                    Err(Error::Corrupt(_) | Error::Io { .. } | Error::NoMessage) | Ok(()) => {}
                    Err(other) => return Err(other),
                }
            }
        }
    }
    Ok(())
}

fn check_message(read: &Read<'_>, row: &MessageRow, findings: &mut Findings) -> Result<()> {
    let id = row.state.id;
    let stored = read.open_message(id)?;
    let found = Content::of(stored.body())?;
    let mut structure = found.structure().clone();
    structure.prepend(stored.prefix().len() as u64);
    match row.content.as_ref().map(|content| (content.structure(), &content.preview)) {
        Some((Ok(kept), preview)) => {
            if kept != structure {
                findings.add(Area::Structure, format!("message {id} has another structure than the one kept"));
            }
            if preview != found.preview() {
                findings.add(Area::Structure, format!("message {id} has another preview than the one kept"));
            }
        }
        Some((Err(error), _)) => findings.add(Area::Structure, format!("message {id}: {error}")),
        None => {}
    }
    if !read.is_bound_to(row.thread, found.thread_facts())? {
        findings.add(Area::Threads, format!("message {id} is in thread {} and belongs to another", row.thread));
    }
    if !read.is_indexed(id, found.terms(), &Terms::of_prefix(stored.prefix()))? {
        findings.add(Area::Index, format!("message {id} has words that the index does not know"));
    }
    Ok(())
}
