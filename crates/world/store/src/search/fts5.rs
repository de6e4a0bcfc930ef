//! The word index on SQLite: FTS5 tables without content, fed with our terms.
//!
//! `search_index` maps a term to documents: row `2 * document` is the header, the next the body, without
//! positions (`detail=none`), as our terms answer for themselves. The tokenizer `ascii` takes every
//! non-ASCII character for part of a word, so it splits our lists at our spaces and nowhere else.
//! `search_vocabulary` has the terms, and `search_grams` maps their three-character pieces to them, which
//! is how the terms that contain a fragment are found; `fts5vocab` would have to walk all postings.
//! Every statement that FTS5 takes part in makes it write out what it has collected, so all messages of a
//! group are added in three statements. The file belongs to one account, so the account number is not repeated here.

use std::collections::HashSet;

use mailstead_message::text::Place;

use super::tokens::{GRAM_CHARS, grams};
use super::{Document, Fielded, PLACES, TextField, WordIndex, json, number};
use crate::error::Result;
use crate::ids::AccountId;
use crate::sql::{Connection, params};

/// Terms in one question to FTS5.
const TERMS_AT_ONCE: usize = 400;

pub(super) struct Fts5;

const fn row_of(document: i64, place: Place) -> i64 {
    document * 2 + number(place)
}

/// A string in FTS5's query language. Terms have no quotes.
fn quoted(term: &str) -> String {
    format!("\"{term}\"")
}

impl WordIndex for Fts5 {
    fn tables(&self) -> &'static str {
        "create virtual table search_index using fts5
            (terms, content = '', contentless_delete = 1, detail = none, tokenize = 'ascii');
         create table search_vocabulary (id integer primary key, term text not null unique);
         create virtual table search_grams using fts5
            (grams, content = '', detail = none, columnsize = 0, tokenize = 'ascii');"
    }

    fn add(&self, sql: &dyn Connection, _: AccountId, documents: &[Document<'_>]) -> Result<()> {
        let fields = || documents.iter().flat_map(|(document, fields)| fields.iter().map(|field| (*document, field)));
        let texts: Vec<(i64, String)> = fields()
            .filter(|(_, (_, terms))| !terms.is_empty())
            .map(|(document, (place, terms))| (row_of(document, *place), terms.join(" ")))
            .collect();
        let pairs = "select value ->> 0, value ->> 1 from json_each($1)";
        sql.execute(&format!("insert into search_index (rowid, terms) {pairs}"), params![&json(&texts)?])?;
        let mut terms: Vec<&str> = fields().flat_map(|(_, (_, terms))| terms).copied().collect();
        terms.sort_unstable();
        terms.dedup();
        let new: Vec<(i64, String)> = sql.rows(
            "insert into search_vocabulary (term) select value from json_each($1) where true
                on conflict (term) do nothing returning id, term",
            params![&json(&terms)?],
            |row| Ok((row.get(0)?, row.get(1)?)),
        )?;
        let grams: Vec<(i64, String)> = new
            .iter()
            .map(|(id, term)| (*id, grams(term).into_iter().collect::<Vec<_>>().join(" ")))
            .filter(|(_, grams)| !grams.is_empty())
            .collect();
        if !grams.is_empty() {
            sql.execute(&format!("insert into search_grams (rowid, grams) {pairs}"), params![&json(&grams)?])?;
        }
        Ok(())
    }

    fn remove(&self, sql: &dyn Connection, _: AccountId, document: i64) -> Result<()> {
        sql.execute(
            "delete from search_index where rowid in ($1, $2)",
            params![row_of(document, Place::Header), row_of(document, Place::Body)],
        )?;
        Ok(())
    }

    fn terms_within(&self, sql: &dyn Connection, _: AccountId, fragment: &str) -> Result<Vec<String>> {
        if fragment.chars().count() < GRAM_CHARS {
            let every = "select term from search_vocabulary where instr(term, $1) > 0";
            return sql.rows(every, params![fragment], |row| row.get(0));
        }
        let pieces = grams(fragment).into_iter().map(quoted).collect::<Vec<_>>().join(" AND ");
        sql.rows(
            "select v.term from search_grams g join search_vocabulary v on v.id = g.rowid
                where search_grams match $1 and instr(v.term, $2) > 0",
            params![&pieces, fragment],
            |row| row.get(0),
        )
    }

    fn documents(
        &self,
        sql: &dyn Connection,
        _: AccountId,
        field: TextField,
        terms: &[String],
    ) -> Result<HashSet<i64>> {
        let mut found = HashSet::new();
        for terms in terms.chunks(TERMS_AT_ONCE) {
            let any = terms.iter().map(|term| quoted(term)).collect::<Vec<_>>().join(" OR ");
            sql.query("select rowid from search_index where search_index match $1", params![&any], &mut |row| {
                let found_row: i64 = row.get(0)?;
                let document = found_row / 2;
                if PLACES.into_iter().any(|place| field.covers(place) && row_of(document, place) == found_row) {
                    found.insert(document);
                }
                Ok(())
            })?;
        }
        Ok(found)
    }

    fn contents(&self, sql: &dyn Connection, _: AccountId) -> Result<HashSet<i64>> {
        let rows = sql.rows("select rowid from search_index", &[], |row| row.get::<i64>(0))?;
        Ok(rows.into_iter().map(|row| row / 2).collect())
    }

    fn has(&self, sql: &dyn Connection, _: AccountId, document: i64, fields: &Fielded<'_>) -> Result<bool> {
        for (place, terms) in fields {
            for terms in terms.chunks(TERMS_AT_ONCE) {
                let every = terms.iter().map(|term| quoted(term)).collect::<Vec<_>>().join(" AND ");
                let found: Option<i64> = sql.scalar(
                    "select rowid from search_index where search_index match $1 and rowid = $2",
                    params![&every, row_of(document, *place)],
                )?;
                let known: Option<i64> = sql.scalar(
                    "select count(*) from json_each($1) j join search_vocabulary v on v.term = j.value",
                    params![&json(terms)?],
                )?;
                if found.is_none() || known != i64::try_from(terms.len()).ok() {
                    return Ok(false);
                }
            }
        }
        Ok(true)
    }
}
