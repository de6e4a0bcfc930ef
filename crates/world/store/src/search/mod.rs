//! Full-text search that gives the RFC's answer (RFC 9051 §6.4.4: substring, case-insensitive) at the speed
//! of an index.
//!
//! A message is a *document* with two fields, header and body. Its distinct terms (`tokens`) are made
//! before the transaction that stores it and written within it. A search makes a plan from the needle
//! (`needle`): most needles the index answers alone, some yield candidates whose decoded text is read to
//! be certain, a few make us read every text. The index itself is the one thing that the two engines do
//! not share: `fts5` and `gin` implement [`WordIndex`]. The design is argued in
//! docs/decisions/0005-search-index.md.
//!
//! Copies of a message share its document, so COPY reads no text.

mod fold;
mod fts5;
mod gin;
mod needle;
mod tokens;

use std::collections::HashSet;
use std::ops::Range;

use mailstead_message::text::{self, Place, Source};
use mailstead_message::{Fields, Structure};

use crate::check::{Area, Findings};
use crate::error::{Error, Result};
use crate::ids::{AccountId, MailboxId, MessageId, Uid, UidSet};
use crate::messages::{Detail, StoredMessage};
use crate::sql::{Connection, Dialect, json_list, params};
use crate::transaction::{Indexing, Read, Write};

pub use fold::fold;

use needle::{Finder, Fragment, Plan};
use tokens::{Coverage, Tokenizer};

/// What a search looks at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TextField {
    /// Header fields and bodies: SEARCH TEXT.
    Text,
    /// Bodies: SEARCH BODY.
    Body,
}

/// The two fields of a document.
const PLACES: [Place; 2] = [Place::Header, Place::Body];

/// The number of a field in the index.
const fn number(place: Place) -> i64 {
    match place {
        Place::Header => 0,
        Place::Body => 1,
    }
}

impl TextField {
    const fn covers(self, place: Place) -> bool {
        match self {
            TextField::Text => true,
            TextField::Body => matches!(place, Place::Body),
        }
    }
}

/// The terms of a document, for each of its fields.
type Fielded<'t> = [(Place, Vec<&'t str>); 2];

/// A document that is to be indexed.
type Document<'t> = (i64, Fielded<'t>);

/// Terms in one statement; bounds its memory when a group has many large messages.
const TERMS_TOGETHER: usize = 50_000;

/// The index of terms, one implementation for each engine.
trait WordIndex {
    /// Its tables.
    fn tables(&self) -> &'static str;

    /// Adds new documents, given the sorted terms of their two fields.
    fn add(&self, sql: &dyn Connection, account: AccountId, documents: &[Document<'_>]) -> Result<()>;

    /// Removes a document.
    fn remove(&self, sql: &dyn Connection, account: AccountId, document: i64) -> Result<()>;

    /// The terms known that contain a fragment. Some may be in no document any more.
    fn terms_within(&self, sql: &dyn Connection, account: AccountId, fragment: &str) -> Result<Vec<String>>;

    /// The documents that have one of these terms in a field.
    fn documents(
        &self,
        sql: &dyn Connection,
        account: AccountId,
        field: TextField,
        terms: &[String],
    ) -> Result<HashSet<i64>>;

    /// The documents that the index has, for `check`.
    fn contents(&self, sql: &dyn Connection, account: AccountId) -> Result<HashSet<i64>>;

    /// Whether a document has all these terms, and the vocabulary too, for `check`.
    fn has(&self, sql: &dyn Connection, account: AccountId, document: i64, fields: &Fielded<'_>) -> Result<bool>;
}

fn word_index(dialect: Dialect) -> &'static dyn WordIndex {
    match dialect {
        Dialect::Sqlite => &fts5::Fts5,
        Dialect::Postgres => &gin::Gin,
    }
}

/// A list for a parameter that the database takes apart.
fn json(list: &(impl serde::Serialize + ?Sized)) -> Result<String> {
    serde_json::to_string(list).map_err(|error| Error::corrupt(error.to_string()))
}

/// The tables of this module, for the schema.
pub(crate) fn tables(dialect: Dialect) -> String {
    let clustered = dialect.clustered();
    let shared = format!(
        "create table search_documents (
            account_id bigint not null,
            id bigint not null,
            document_id bigint not null,
            primary key (account_id, id)
         ) {clustered};
         create index search_documents_document on search_documents (account_id, document_id);
         create table search_partial (
            account_id bigint not null,
            document_id bigint not null,
            primary key (account_id, document_id)
         ) {clustered};"
    );
    [shared.as_str(), word_index(dialect).tables()].join("\n")
}

/// The tables with rows of an account, where one database has all.
pub(crate) const ACCOUNT_TABLES: &[&str] = &["search_documents", "search_partial", "search_index", "search_vocabulary"];

/// The terms of a message, made before the transaction that stores it.
#[derive(Debug, Default)]
pub(crate) struct Terms {
    header: Vec<String>,
    body: Vec<String>,
    partial: bool,
}

impl Terms {
    /// The terms of a message's decoded text.
    pub(crate) fn of<S: Source>(structure: &Structure, source: &mut S) -> Result<Terms, S::Error> {
        let (mut header, mut body) = (Tokenizer::default(), Tokenizer::default());
        text::searchable(structure, source, &mut |place, piece| match place {
            Place::Header => header.feed(piece),
            Place::Body => body.feed(piece),
        })?;
        let (header, partial_header) = sorted(header);
        let (body, partial_body) = sorted(body);
        Ok(Terms { header, body, partial: partial_header || partial_body })
    }

    /// The terms of header fields that are put in front of a message.
    pub(crate) fn of_prefix(prefix: &[u8]) -> Terms {
        let mut header = Tokenizer::default();
        for field in Fields::new(prefix) {
            header.feed(&format!("{}: {}\n", field.name(), field.text()));
        }
        let (header, partial) = sorted(header);
        Terms { header, body: Vec::new(), partial }
    }

    /// The terms of a message and of the prefix in front of it.
    fn with<'t>(&'t self, prefix: &'t Terms) -> Fielded<'t> {
        PLACES.map(|place| {
            let mut all: Vec<&str> = self.at(place).iter().chain(prefix.at(place)).map(String::as_str).collect();
            all.sort_unstable();
            all.dedup();
            (place, all)
        })
    }

    fn at(&self, place: Place) -> &[String] {
        match place {
            Place::Header => &self.header,
            Place::Body => &self.body,
        }
    }
}

fn sorted(tokenizer: Tokenizer) -> (Vec<String>, bool) {
    let (terms, coverage) = tokenizer.finish();
    let mut terms: Vec<String> = terms.into_iter().collect();
    terms.sort_unstable();
    (terms, coverage == Coverage::Partial)
}

impl Write<'_> {
    /// Makes the changes of a group, in their order. New documents are added together: FTS5 writes out what
    /// it has collected at every statement, and one segment for many messages needs no merging.
    pub(crate) fn apply_indexing(&mut self, changes: &[Indexing]) -> Result<()> {
        let (mut documents, mut terms) = (Vec::new(), 0);
        for change in changes {
            match change {
                Indexing::Add { id, content, prefix } => {
                    let fields = content.terms().with(prefix);
                    terms += fields.iter().map(|(_, terms)| terms.len()).sum::<usize>();
                    documents.push((id.0, fields));
                    self.note_document(*id, content.terms().partial || prefix.partial)?;
                    if terms >= TERMS_TOGETHER {
                        self.add_documents(&mut documents)?;
                        terms = 0;
                    }
                }
                Indexing::Copy { original, copy } => self.index_copy(*original, *copy)?,
                Indexing::Remove { id } => {
                    self.add_documents(&mut documents)?;
                    self.unindex_message(*id)?;
                }
            }
        }
        self.add_documents(&mut documents)
    }

    fn add_documents(&mut self, documents: &mut Vec<Document<'_>>) -> Result<()> {
        let documents = std::mem::take(documents);
        if documents.is_empty() {
            return Ok(());
        }
        word_index(self.sql().dialect()).add(self.sql(), self.account_id(), &documents)
    }

    /// Records that a new message is a document of its own.
    fn note_document(&mut self, id: MessageId, partial: bool) -> Result<()> {
        let (sql, account) = (self.sql(), self.account_id());
        if partial {
            sql.execute("insert into search_partial (account_id, document_id) values ($1, $2)", params![account, id])?;
        }
        sql.execute(
            "insert into search_documents (account_id, id, document_id) values ($1, $2, $2)",
            params![account, id],
        )?;
        Ok(())
    }

    /// Lets a copy of a message share its document.
    fn index_copy(&mut self, original: MessageId, copy: MessageId) -> Result<()> {
        self.sql().execute(
            "insert into search_documents (account_id, id, document_id)
                select account_id, cast($3 as bigint), document_id from search_documents
                where account_id = $1 and id = $2",
            params![self.account_id(), original, copy],
        )?;
        Ok(())
    }

    /// Forgets a message, and its document with the last copy.
    fn unindex_message(&mut self, id: MessageId) -> Result<()> {
        let (sql, account) = (self.sql(), self.account_id());
        let document: Option<i64> = sql.scalar(
            "delete from search_documents where account_id = $1 and id = $2 returning document_id",
            params![account, id],
        )?;
        let Some(document) = document else { return Ok(()) };
        let shared: Option<i64> = sql.scalar(
            "select 1 from search_documents where account_id = $1 and document_id = $2 limit 1",
            params![account, document],
        )?;
        if shared.is_some() {
            return Ok(());
        }
        sql.execute(
            "delete from search_partial where account_id = $1 and document_id = $2",
            params![account, document],
        )?;
        word_index(sql.dialect()).remove(sql, account, document)
    }
}

/// Candidates that are read instead of narrowing them down further by common words.
const READ_RATHER: usize = 100;

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
        let verified = |candidates: Vec<(Uid, MessageId)>| -> Result<Vec<Uid>> {
            let mut found = Vec::new();
            for (uid, id) in candidates {
                if self.text_matches(id, field, Finder::new(needle))? {
                    found.push(uid);
                }
            }
            Ok(found)
        };
        let mut found = match Plan::new(needle) {
            Plan::Everything => return Ok(uids_of(self.searched(mailbox, None, within)?)),
            Plan::Scan => return verified(self.searched(mailbox, None, within)?),
            Plan::Certain(fragment) => {
                let documents = self.documents_with(field, &self.terms_of(&Fragment::Within(fragment))?)?;
                uids_of(self.searched(mailbox, Some(documents), within)?)
            }
            Plan::Candidates(fragments) => {
                let documents = self.documents_with_all(field, &fragments)?;
                verified(self.searched(mailbox, Some(documents), within)?)?
            }
        };
        found.extend(verified(self.searched_partial(mailbox, within)?)?);
        found.sort_unstable();
        found.dedup();
        Ok(found)
    }

    fn terms_of(&self, fragment: &Fragment) -> Result<Vec<String>> {
        match fragment {
            Fragment::Within(piece) => {
                word_index(self.sql().dialect()).terms_within(self.sql(), self.account_id(), piece)
            }
            Fragment::Whole(run) => Ok(vec![run.clone()]),
        }
    }

    fn documents_with(&self, field: TextField, terms: &[String]) -> Result<HashSet<i64>> {
        word_index(self.sql().dialect()).documents(self.sql(), self.account_id(), field, terms)
    }

    fn documents_with_all(&self, field: TextField, fragments: &[Fragment]) -> Result<HashSet<i64>> {
        let mut alternatives =
            fragments.iter().map(|fragment| self.terms_of(fragment)).collect::<Result<Vec<Vec<String>>>>()?;
        // The fewest terms first: most likely the fewest documents.
        alternatives.sort_by_key(Vec::len);
        let mut alternatives = alternatives.iter();
        let Some(first) = alternatives.next() else { return Ok(HashSet::new()) };
        let mut documents = self.documents_with(field, first)?;
        for terms in alternatives {
            if documents.len() <= READ_RATHER {
                break;
            }
            let others = self.documents_with(field, terms)?;
            documents.retain(|document| others.contains(document));
        }
        Ok(documents)
    }

    /// The messages of a mailbox among some documents, or all, with the set applied, by UID.
    fn searched(
        &self,
        mailbox: MailboxId,
        documents: Option<HashSet<i64>>,
        within: Option<&UidSet>,
    ) -> Result<Vec<(Uid, MessageId)>> {
        let Some(documents) = documents else {
            return self.candidates(
                "select uid, id from messages where account_id = $1 and mailbox_id = $2 order by uid",
                mailbox,
                "",
                within,
            );
        };
        if documents.is_empty() {
            return Ok(Vec::new());
        }
        let list = self.sql().dialect().int_list("$3");
        let sql = format!(
            "select m.uid, m.id from search_documents d
                join messages m on m.account_id = d.account_id and m.id = d.id
                where d.account_id = $1 and d.document_id in (select n from {list} l) and m.mailbox_id = $2 order by m.uid"
        );
        self.candidates(&sql, mailbox, &json_list(documents), within)
    }

    /// The messages of a mailbox whose terms were not all indexed.
    fn searched_partial(&self, mailbox: MailboxId, within: Option<&UidSet>) -> Result<Vec<(Uid, MessageId)>> {
        let sql = "select m.uid, m.id from search_partial p
            join search_documents d on d.account_id = p.account_id and d.document_id = p.document_id
            join messages m on m.account_id = d.account_id and m.id = d.id
            where p.account_id = $1 and m.mailbox_id = $2 order by m.uid";
        self.candidates(sql, mailbox, "", within)
    }

    fn candidates(
        &self,
        sql: &str,
        mailbox: MailboxId,
        list: &str,
        within: Option<&UidSet>,
    ) -> Result<Vec<(Uid, MessageId)>> {
        let all = params![self.account_id(), mailbox, list];
        let params = if list.is_empty() { &all[..2] } else { &all[..] };
        let mut found = self.sql().rows(sql, params, |row| Ok((row.get(0)?, row.get(1)?)))?;
        found.retain(|&(uid, _)| within.is_none_or(|set| set.contains(uid)));
        Ok(found)
    }

    /// Whether a message's decoded text contains the needle.
    fn text_matches(&self, id: MessageId, field: TextField, mut finder: Finder) -> Result<bool> {
        let (_, row) = self.message(id, Detail::Content)?;
        let content = row.content.ok_or_else(|| Error::corrupt(format!("message {id} has no structure")))?;
        let message = self.open_message(id)?;
        let (structure, mut octets) = (content.structure()?, &message);
        text::searchable(&structure, &mut octets, &mut |place, piece| {
            if field.covers(place) {
                finder.feed(piece);
            }
        })?;
        Ok(finder.finish())
    }
}

impl Read<'_> {
    /// Documents that the index has and no message refers to, and the other way round, for `check`.
    pub(crate) fn check_documents(&self, findings: &mut Findings) -> Result<()> {
        let (sql, account) = (self.sql(), self.account_id());
        let indexed = word_index(sql.dialect()).contents(sql, account)?;
        let named = "select distinct document_id from search_documents where account_id = $1";
        let named: HashSet<i64> = sql.rows(named, params![account], |row| row.get(0))?.into_iter().collect();
        for document in indexed.difference(&named) {
            findings.add(Area::Index, format!("document {document} is indexed and belongs to no message"));
        }
        Ok(())
    }

    /// Whether the index has all the terms of a message, for `check`.
    pub(crate) fn is_indexed(&self, id: MessageId, terms: &Terms, prefix: &Terms) -> Result<bool> {
        let (sql, account) = (self.sql(), self.account_id());
        let document: Option<i64> = sql.scalar(
            "select document_id from search_documents where account_id = $1 and id = $2",
            params![account, id],
        )?;
        // A message without a document is told by another rule.
        let Some(document) = document else { return Ok(true) };
        word_index(sql.dialect()).has(sql, account, document, &terms.with(prefix))
    }
}

impl Source for &StoredMessage {
    type Error = Error;

    fn read(&mut self, range: Range<u64>, out: &mut Vec<u8>) -> Result<()> {
        out.extend(self.read_at(range)?);
        Ok(())
    }
}

fn uids_of(found: Vec<(Uid, MessageId)>) -> Vec<Uid> {
    found.into_iter().map(|(uid, _)| uid).collect()
}
