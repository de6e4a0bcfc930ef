//! One search: from the needle's plan to the UIDs.

use std::collections::HashSet;

use mailstead_message::text;

use super::needle::{Finder, Fragment, Plan};
use super::{TextField, word_index};
use crate::error::{Error, Result};
use crate::ids::{MailboxId, MessageId, Uid, UidSet};
use crate::messages::Detail;
use crate::sql::{Value, json_list};
use crate::transaction::Read;

/// Candidates that are read instead of narrowing them down further by common words.
const READ_RATHER: usize = 100;
/// Messages that are read instead of asking the index at all, when a search is for so few.
const FEW: u32 = 25;

impl Read<'_> {
    /// The messages of a mailbox whose text contains `needle`, by UID: a substring of the decoded text
    /// without regard to case (RFC 9051 §6.4.4). Only messages of `within` are looked at, if it is given.
    pub fn search_text(
        &self,
        mailbox: MailboxId,
        needle: &str,
        field: TextField,
        within: Option<&UidSet>,
    ) -> Result<Vec<Uid>> {
        Search { read: self, mailbox, needle, field, within }.run()
    }
}

/// From documents to the messages of the mailbox. There are few documents and many messages: `cross join`
/// (SQLite) and `+` (both) keep the planner from starting at the mailbox.
const TO_MESSAGES: &str = "cross join messages m where m.account_id = d.account_id and m.id = d.id
    and +m.mailbox_id = $2 and +m.uid between $3 and $4";

struct Search<'s, 'c> {
    read: &'s Read<'c>,
    mailbox: MailboxId,
    needle: &'s str,
    field: TextField,
    within: Option<&'s UidSet>,
}

type Candidates = Vec<(Uid, MessageId)>;

impl Search<'_, '_> {
    fn run(&self) -> Result<Vec<Uid>> {
        let plan = Plan::new(self.needle);
        if plan == Plan::Everything {
            return Ok(uids(self.everything()?));
        }
        if plan == Plan::Scan || self.within.is_some_and(is_small) {
            return self.verified(self.everything()?);
        }
        let mut found = match plan {
            Plan::Certain(fragment) => {
                let documents = self.documents_with(&self.terms_of(&Fragment::Within(fragment))?)?;
                uids(self.of_documents(&documents)?)
            }
            Plan::Candidates(fragments) => self.verified(self.of_documents(&self.documents_with_all(&fragments)?)?)?,
            Plan::Everything | Plan::Scan => Vec::new(),
        };
        found.extend(self.verified(self.indexed_in_part()?)?);
        found.sort_unstable();
        found.dedup();
        Ok(found)
    }

    fn terms_of(&self, fragment: &Fragment) -> Result<Vec<String>> {
        let (sql, account) = (self.read.sql(), self.read.account_id());
        match fragment {
            Fragment::Within(piece) => word_index(sql.dialect()).terms_within(sql, account, piece),
            Fragment::Whole(run) => Ok(vec![run.clone()]),
        }
    }

    fn documents_with(&self, terms: &[String]) -> Result<HashSet<i64>> {
        let (sql, account) = (self.read.sql(), self.read.account_id());
        word_index(sql.dialect()).documents(sql, account, self.field, terms)
    }

    fn documents_with_all(&self, fragments: &[Fragment]) -> Result<HashSet<i64>> {
        let mut alternatives =
            fragments.iter().map(|fragment| self.terms_of(fragment)).collect::<Result<Vec<Vec<String>>>>()?;
        // The fewest terms first: most likely the fewest documents.
        alternatives.sort_by_key(Vec::len);
        let mut alternatives = alternatives.iter();
        let Some(first) = alternatives.next() else { return Ok(HashSet::new()) };
        let mut documents = self.documents_with(first)?;
        for terms in alternatives {
            if documents.len() <= READ_RATHER {
                break;
            }
            let others = self.documents_with(terms)?;
            documents.retain(|document| others.contains(document));
        }
        Ok(documents)
    }

    fn everything(&self) -> Result<Candidates> {
        self.select("messages m where m.account_id = $1 and m.mailbox_id = $2 and m.uid between $3 and $4", None)
    }

    fn of_documents(&self, documents: &HashSet<i64>) -> Result<Candidates> {
        if documents.is_empty() {
            return Ok(Vec::new());
        }
        let wanted = self.read.sql().dialect().is_listed("d.document_id", "$5");
        let from = format!("search_documents d {TO_MESSAGES} and d.account_id = $1 and {wanted}");
        self.select(&from, Some(&json_list(documents.iter().copied())))
    }

    /// The messages whose terms were not all indexed.
    fn indexed_in_part(&self) -> Result<Candidates> {
        let from = format!(
            "search_partial p cross join search_documents d {TO_MESSAGES}
                and d.account_id = p.account_id and d.document_id = p.document_id and p.account_id = $1"
        );
        self.select(&from, None)
    }

    /// Messages of the mailbox and the set, by UID.
    fn select(&self, from: &str, list: Option<&str>) -> Result<Candidates> {
        let ranges = self.within.map_or(&[1..=u32::MAX][..], UidSet::ranges);
        let (Some(first), Some(last)) = (ranges.first(), ranges.last()) else { return Ok(Vec::new()) };
        let sql = format!("select m.uid, m.id from {from} order by m.uid");
        let mut params: Vec<Value<'_>> =
            vec![self.read.account_id().into(), self.mailbox.into(), (*first.start()).into(), (*last.end()).into()];
        params.extend(list.map(Value::from));
        let mut found = self.read.sql().rows(&sql, &params, |row| Ok((row.get(0)?, row.get(1)?)))?;
        found.retain(|&(uid, _)| self.within.is_none_or(|set| set.contains(uid)));
        Ok(found)
    }

    /// Those among the candidates whose text contains the needle.
    fn verified(&self, candidates: Candidates) -> Result<Vec<Uid>> {
        let mut found = Vec::new();
        for (uid, id) in candidates {
            if self.matches(id)? {
                found.push(uid);
            }
        }
        Ok(found)
    }

    fn matches(&self, id: MessageId) -> Result<bool> {
        let (_, row) = self.read.message(id, Detail::Content)?;
        let content = row.content.ok_or_else(|| Error::corrupt(format!("message {id} has no structure")))?;
        let message = self.read.open_message(id)?;
        let (structure, mut octets) = (content.structure()?, &message);
        let mut finder = Finder::new(self.needle);
        text::searchable(&structure, &mut octets, &mut |place, piece| {
            if self.field.covers(place) {
                finder.feed(piece);
            }
        })?;
        Ok(finder.finish())
    }
}

fn uids(found: Candidates) -> Vec<Uid> {
    found.into_iter().map(|(uid, _)| uid).collect()
}

fn is_small(set: &UidSet) -> bool {
    let sizes = set.ranges().iter().map(|range| (range.end() - range.start()).saturating_add(1));
    sizes.fold(0, u32::saturating_add) <= FEW
}
