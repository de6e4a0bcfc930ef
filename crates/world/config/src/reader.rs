//! Walks a TOML document, collecting every complaint with its place instead of stopping at the first.
//!
//! A [`Section`] remembers which keys were asked for; whatever else stands in the table is an unknown key,
//! reported together with the known key that looks most like it.

use std::cell::RefCell;
use std::ops::Range;
use std::path::Path;

use toml_edit::{Array, Document, Item, Key, TableLike, Value};

use crate::{Diagnostic, Diagnostics};

/// What is wrong with a value, and what to do.
#[derive(Debug)]
pub(crate) struct Complaint {
    message: String,
    advice: String,
}

impl Complaint {
    pub(crate) fn new(message: impl Into<String>, advice: impl Into<String>) -> Self {
        Complaint { message: message.into(), advice: advice.into() }
    }
}

/// The document's text and the complaints so far.
#[derive(Debug)]
pub(crate) struct Reader<'a> {
    source: &'a str,
    file: &'a Path,
    complaints: RefCell<Vec<Diagnostic>>,
}

impl<'a> Reader<'a> {
    pub(crate) fn new(source: &'a str, file: &'a Path) -> Self {
        Reader { source, file, complaints: RefCell::default() }
    }

    /// The syntax tree, or the first syntax error: nothing behind one can be trusted.
    pub(crate) fn document(&self) -> Result<Document<&'a str>, Diagnostics> {
        Document::parse(self.source).map_err(|error| {
            let span = error.span().unwrap_or(0..0);
            let message = format!("not valid TOML: {}", error.message().lines().collect::<Vec<_>>().join("; "));
            let advice = "correct the syntax; the TOML format is described at https://toml.io".to_owned();
            Diagnostics::new(self.file, vec![Diagnostic::new(self.source, &span, message, advice)])
        })
    }

    pub(crate) fn complain(&self, span: &Range<usize>, complaint: Complaint) {
        let diagnostic = Diagnostic::new(self.source, span, complaint.message, complaint.advice);
        self.complaints.borrow_mut().push(diagnostic);
    }

    /// The result, unless somebody complained.
    pub(crate) fn conclude<T>(self, result: Option<T>) -> Result<T, Diagnostics> {
        let complaints = self.complaints.into_inner();
        match result {
            Some(result) if complaints.is_empty() => Ok(result),
            _ => Err(Diagnostics::new(self.file, complaints)),
        }
    }
}

/// A value together with where it stands.
#[derive(Debug, Clone)]
pub(crate) struct Placed<T> {
    pub(crate) value: T,
    pub(crate) span: Range<usize>,
}

/// One table of the document.
pub(crate) struct Section<'a> {
    reader: &'a Reader<'a>,
    table: &'a dyn TableLike,
    /// How messages call this table.
    name: String,
    span: Range<usize>,
    known: Vec<&'static str>,
}

/// A conversion from a value.
pub(crate) type Convert<T> = fn(&Value) -> Result<T, Complaint>;

impl<'a> Section<'a> {
    pub(crate) fn top(reader: &'a Reader<'a>, document: &'a Document<&'a str>) -> Self {
        let name = "the top level".to_owned();
        Section { reader, table: document.as_table(), name, span: 0..0, known: Vec::new() }
    }

    pub(crate) fn span(&self) -> &Range<usize> {
        &self.span
    }

    pub(crate) fn complain(&self, span: &Range<usize>, complaint: Complaint) {
        self.reader.complain(span, complaint);
    }

    fn item(&mut self, key: &'static str) -> Option<(&'a Item, Range<usize>)> {
        self.known.push(key);
        let (name, item) = self.table.get_key_value(key)?;
        Some((item, item.span().or_else(|| name.span()).unwrap_or(0..0)))
    }

    /// A value that may be left out.
    pub(crate) fn placed<T>(&mut self, key: &'static str, convert: Convert<T>) -> Option<Placed<T>> {
        let (item, span) = self.item(key)?;
        let converted = match item.as_value() {
            Some(value) => convert(value),
            None => Err(Complaint::new(format!("`{key}` must be a value, not a table"), format!("write `{key} = …`"))),
        };
        match converted {
            Ok(value) => Some(Placed { value, span }),
            Err(complaint) => {
                self.complain(&span, complaint);
                None
            }
        }
    }

    /// [`Section::placed`] when the place does not matter.
    pub(crate) fn optional<T>(&mut self, key: &'static str, convert: Convert<T>) -> Option<T> {
        self.placed(key, convert).map(|placed| placed.value)
    }

    /// The elements of a list, or a single value as a list of one; empty when it is not there. Complains about
    /// each element that is wrong.
    pub(crate) fn list<T>(&mut self, key: &'static str, convert: Convert<T>) -> Vec<Placed<T>> {
        let Some((item, span)) = self.item(key) else { return Vec::new() };
        let elements: Vec<&Value> = match (item.as_array(), item.as_value()) {
            (Some(array), _) => array.iter().collect(),
            (None, Some(only)) => vec![only],
            (None, None) => {
                let advice = format!("write `{key} = […]`");
                self.complain(&span, Complaint::new(format!("`{key}` must be a list of values"), advice));
                Vec::new()
            }
        };
        let element = |value: &Value| {
            let span = value.span().unwrap_or(span.clone());
            let converted = convert(value).map_err(|complaint| self.complain(&span, complaint));
            converted.ok().map(|value| Placed { value, span })
        };
        elements.into_iter().filter_map(element).collect()
    }

    /// [`Section::list`], which must not be empty where it is there: without elements it would not mean nothing, but
    /// anything.
    pub(crate) fn nonempty_list<T>(&mut self, key: &'static str, convert: Convert<T>) -> Vec<Placed<T>> {
        let item = self.table.get(key);
        if item.and_then(Item::as_array).is_some_and(Array::is_empty) {
            let span = item.and_then(Item::span).unwrap_or(self.span.clone());
            let advice = format!("remove `{key}` where it does not matter");
            self.complain(&span, Complaint::new(format!("`{key}` is an empty list"), advice));
        }
        self.list(key, convert)
    }

    /// Whether the key is there, right or wrong.
    pub(crate) fn has(&self, key: &str) -> bool {
        self.table.contains_key(key)
    }

    /// Complains when a key is not there.
    pub(crate) fn demand(&self, key: &'static str, example: &str) {
        if !self.has(key) {
            let message = format!("`{key}` is missing from {}", self.name);
            self.complain(&self.span, Complaint::new(message, format!("add `{key} = {example}`")));
        }
    }

    /// A value that must be there.
    pub(crate) fn required<T>(&mut self, key: &'static str, example: &str, convert: Convert<T>) -> Option<Placed<T>> {
        self.demand(key, example);
        self.placed(key, convert)
    }

    fn inner(&self, item: &'a Item, span: &Range<usize>, name: String) -> Option<Section<'a>> {
        let Some(table) = item.as_table_like() else {
            let advice = format!("write it as a table with the heading {name}");
            self.complain(span, Complaint::new(format!("{name} must be a table"), advice));
            return None;
        };
        Some(Section { reader: self.reader, table, name, span: span.clone(), known: Vec::new() })
    }

    /// A table inside this one.
    pub(crate) fn section(&mut self, key: &'static str) -> Option<Section<'a>> {
        let (item, span) = self.item(key)?;
        self.inner(item, &span, format!("[{key}]"))
    }

    /// A list of tables, `[[key]]`.
    pub(crate) fn sections(&mut self, key: &'static str) -> Vec<Section<'a>> {
        let Some((item, span)) = self.item(key) else { return Vec::new() };
        let Some(tables) = item.as_array_of_tables() else {
            let advice = format!("begin each one with a line [[{key}]]");
            self.complain(&span, Complaint::new(format!("`{key}` must be a list of tables"), advice));
            return Vec::new();
        };
        tables
            .iter()
            .map(|table| Section {
                reader: self.reader,
                table,
                name: format!("[[{key}]]"),
                span: table.span().unwrap_or(span.clone()),
                known: Vec::new(),
            })
            .collect()
    }

    /// A table of tables whose keys are names that the operator chose.
    pub(crate) fn entries(&mut self, key: &'static str) -> Vec<(Placed<String>, Section<'a>)> {
        let Some(outer) = self.section(key) else { return Vec::new() };
        let entry = |(name, item): (&str, &'a Item)| {
            let name_span = outer.table.key(name).and_then(Key::span).unwrap_or(outer.span.clone());
            let span = item.span().unwrap_or(name_span.clone());
            let section = outer.inner(item, &span, format!("[{key}.{}]", Key::new(name).display_repr()))?;
            Some((Placed { value: name.to_owned(), span: name_span }, section))
        };
        outer.table.iter().filter_map(entry).collect()
    }

    /// Reports the keys that nobody asked for.
    pub(crate) fn finish(self) {
        for (key, _) in self.table.iter().filter(|(key, _)| !self.known.contains(key)) {
            let span = self.table.key(key).and_then(Key::span).unwrap_or(self.span.clone());
            let advice = match closest(key, self.known.iter().copied()) {
                Some(similar) => format!("did you mean `{similar}`?"),
                None => {
                    let known: Vec<_> = self.known.iter().map(|known| format!("`{known}`")).collect();
                    format!("remove it; the keys here are {}", known.join(", "))
                }
            };
            self.complain(&span, Complaint::new(format!("unknown key `{key}` in {}", self.name), advice));
        }
    }
}

/// The candidate that the text was probably meant to be.
pub(crate) fn closest<'c>(text: &str, candidates: impl Iterator<Item = &'c str>) -> Option<&'c str> {
    let text: Vec<char> = text.to_lowercase().replace('_', "-").chars().collect();
    candidates
        .map(|candidate| (candidate, candidate.chars().collect::<Vec<_>>()))
        .map(|(candidate, letters)| match text.starts_with(&letters) || letters.starts_with(&text) {
            true => (1, letters.len(), candidate),
            false => (distance(&text, &letters), letters.len(), candidate),
        })
        .filter(|(distance, length, _)| *distance <= (*length).max(3) / 3)
        .min()
        .map(|(_, _, candidate)| candidate)
}

/// How many letters are missing, superfluous, wrong, or swapped with their neighbour (optimal string
/// alignment).
fn distance(one: &[char], other: &[char]) -> usize {
    let mut rows = vec![vec![0; other.len() + 1]; one.len() + 1];
    for i in 0..=one.len() {
        for j in 0..=other.len() {
            rows[i][j] = if i == 0 || j == 0 {
                i + j
            } else {
                let replaced = rows[i - 1][j - 1] + usize::from(one[i - 1] != other[j - 1]);
                let nearest = replaced.min(rows[i - 1][j] + 1).min(rows[i][j - 1] + 1);
                let swapped = i > 1 && j > 1 && one[i - 1] == other[j - 2] && one[i - 2] == other[j - 1];
                if swapped { nearest.min(rows[i - 2][j - 2] + 1) } else { nearest }
            };
        }
    }
    rows[one.len()][other.len()]
}
