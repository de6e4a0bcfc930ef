//! The word index on PostgreSQL: arrays of our terms under GIN indexes, which needs no extension.
//!
//! `search_index` has the terms of a field of a document, `search_vocabulary` the three-character pieces of
//! each term. GIN cannot put the account's number before the elements of an array, so every element begins
//! with it (`17:word`): an account's search never walks another's postings.
//!
//! A list of pending entries, which GIN keeps by default, is read by every look into the index, and a
//! search may take one for each of hundreds of terms; so there is none for terms and a short one for pieces.

use std::collections::HashSet;

use mailstead_message::text::Place;

use super::tokens::GRAM_CHARS;
use super::{Document, Fielded, TextField, WordIndex, json, number};
use crate::error::Result;
use crate::ids::AccountId;
use crate::sql::{Connection, params};

pub(super) struct Gin;

impl WordIndex for Gin {
    fn tables(&self) -> &'static str {
        "create table search_index (
            account_id bigint not null,
            document_id bigint not null,
            field bigint not null,
            terms text[] not null,
            primary key (account_id, document_id, field)
         );
         create index search_index_terms on search_index using gin (terms) with (fastupdate = off);
         create table search_vocabulary (
            account_id bigint not null,
            term text collate \"C\" not null,
            grams text[] not null,
            primary key (account_id, term)
         );
         create index search_vocabulary_grams on search_vocabulary using gin (grams) with (gin_pending_list_limit = 256);"
    }

    fn add(&self, sql: &dyn Connection, account: AccountId, documents: &[Document<'_>]) -> Result<()> {
        let fields = documents.iter().flat_map(|(document, fields)| fields.iter().map(|field| (*document, field)));
        for (document, (place, terms)) in fields.filter(|(_, (_, terms))| !terms.is_empty()) {
            let terms = json(terms)?;
            sql.execute(
                "insert into search_index (account_id, document_id, field, terms) values ($1, $2, $3, array(
                    select cast($1 as bigint) || ':' || t from json_array_elements_text($4::text::json) t))",
                params![account, document, number(*place), &terms],
            )?;
            // Not `not exists`: while the table's statistics are young that becomes a join which reads all of it.
            sql.execute(
                "insert into search_vocabulary (account_id, term, grams)
                    select cast($1 as bigint), t, array(select distinct cast($1 as bigint) || ':' || substr(t, i, 3)
                        from generate_series(1, length(t) - 2) i)
                    from json_array_elements_text($2::text::json) t
                    where (select v.term from search_vocabulary v where v.account_id = $1 and v.term = t) is null
                    on conflict (account_id, term) do nothing",
                params![account, &terms],
            )?;
        }
        Ok(())
    }

    fn remove(&self, sql: &dyn Connection, account: AccountId, document: i64) -> Result<()> {
        sql.execute("delete from search_index where account_id = $1 and document_id = $2", params![account, document])?;
        Ok(())
    }

    fn terms_within(&self, sql: &dyn Connection, account: AccountId, fragment: &str) -> Result<Vec<String>> {
        if fragment.chars().count() < GRAM_CHARS {
            let every = "select term from search_vocabulary where account_id = $1 and strpos(term, $2) > 0";
            return sql.rows(every, params![account, fragment], |row| row.get(0));
        }
        sql.rows(
            "select term from search_vocabulary where strpos(term, $2) > 0 and grams @> array(
                select cast($1 as bigint) || ':' || substr($2::text, i, 3) from generate_series(1, length($2::text) - 2) i)",
            params![account, fragment],
            |row| row.get(0),
        )
    }

    fn documents(
        &self,
        sql: &dyn Connection,
        account: AccountId,
        field: TextField,
        terms: &[String],
    ) -> Result<HashSet<i64>> {
        let lowest = match field {
            TextField::Text => number(Place::Header),
            TextField::Body => number(Place::Body),
        };
        let terms = json(&terms)?;
        let found = sql.rows(
            // One look into the index for each term, as `&&` with many terms would be compared with every row.
            // The elements name the account; to name it again would suggest the other index.
            "select distinct s.document_id from json_array_elements_text($3::text::json) t
                join search_index s on s.terms @> array[cast($1 as bigint) || ':' || t]
                where s.field >= $2",
            params![account, lowest, &terms],
            |row| row.get(0),
        )?;
        Ok(found.into_iter().collect())
    }

    fn contents(&self, sql: &dyn Connection, account: AccountId) -> Result<HashSet<i64>> {
        let found =
            sql.rows("select distinct document_id from search_index where account_id = $1", params![account], |row| {
                row.get(0)
            })?;
        Ok(found.into_iter().collect())
    }

    fn has(&self, sql: &dyn Connection, account: AccountId, document: i64, fields: &Fielded<'_>) -> Result<bool> {
        for (place, terms) in fields.iter().filter(|(_, terms)| !terms.is_empty()) {
            let found: Option<i64> = sql.scalar(
                "select document_id from search_index where account_id = $1 and document_id = $2 and field = $3
                    and terms @> array(select cast($1 as bigint) || ':' || t from json_array_elements_text($4::text::json) t)
                    and not exists (select 1 from json_array_elements_text($4::text::json) t where not exists
                        (select 1 from search_vocabulary v where v.account_id = $1 and v.term = t))",
                params![account, document, number(*place), &json(terms)?],
            )?;
            if found.is_none() {
                return Ok(false);
            }
        }
        Ok(true)
    }
}
