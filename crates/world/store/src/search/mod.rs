//! Full-text search that gives the RFC's answer (RFC 9051 §6.4.4: substring, case-insensitive) at the speed
//! of an index.
//!
//! A message is a *document* with two fields, header and body. Its distinct terms (`tokens`) are made
//! before the transaction that stores it and written within it. A search (`query`) makes a plan from the
//! needle (`needle`): most needles the index answers alone, some yield candidates whose decoded text is read to
//! be certain, a few make us read every text. The index itself is the one thing that the two engines do
//! not share: `fts5` and `gin` implement [`WordIndex`]. The design is argued in
//! docs/decisions/0005-search-index.md.
//!
//! Copies of a message share its document, so COPY reads no text.

mod fold;
mod fts5;
mod gin;
mod needle;
mod query;
mod tokens;

use std::collections::HashSet;
use std::ops::Range;

use mailstead_message::text::{self, Place, Source};
use mailstead_message::{Fields, Structure};

use crate::check::{Area, Findings};
use crate::error::{Error, Result};
use crate::ids::{AccountId, MessageId};
use crate::messages::StoredMessage;
use crate::sql::{Connection, Dialect, params};
use crate::transaction::{Indexing, Read, Write};

pub use fold::fold;

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
