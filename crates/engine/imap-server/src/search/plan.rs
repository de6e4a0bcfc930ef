//! From a search key to a plan: keys about UIDs, numbers, flags and mod-sequences become sets at once, what is left
//! needs the store.
//!
//! Pure. RFC 9051 §6.4.4; RFC 3501 §6.4.4 (RECENT); RFC 7162 §3.1.5 (MODSEQ).

use std::sync::Arc;

use jiff::civil::Date;
use mailstead_imap::command::{DateField, DateRelation, SearchKey};
use mailstead_imap::{Flag, MessageSet, UidSet};
use mailstead_store::TextField;

use crate::reply;
use crate::view::{Message, OutOfRange, View, from_wire};

/// A plan. Every set is of UIDs and within the universe of the [`Scope`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Node {
    /// These messages.
    Known(UidSet),
    /// Those that the store finds.
    Stored(Stored),
    Not(Box<Node>),
    /// All of these, cheapest first.
    All(Vec<Node>),
    /// Any of these, cheapest first.
    Any(Vec<Node>),
}

/// A key that only the store can answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Stored {
    Text(TextField, Arc<str>),
    Header { field: Arc<str>, value: Arc<str> },
    Larger(u64),
    Smaller(u64),
    Date { field: DateField, relation: DateRelation, date: Date },
}

impl Node {
    /// What is done first when one can spare the other.
    fn cost(&self) -> u32 {
        match self {
            Node::Known(_) => 0,
            Node::Stored(stored) => match stored {
                // The index has little to say about two characters: the texts are read.
                Stored::Text(_, needle) if needle.chars().count() <= 2 => 5,
                Stored::Text(..) => 1,
                Stored::Larger(_) | Stored::Smaller(_) => 2,
                Stored::Date { field: DateField::Internal, .. } => 2,
                Stored::Header { .. } => 3,
                Stored::Date { field: DateField::Sent, .. } => 4,
            },
            Node::Not(node) => node.cost(),
            Node::All(nodes) | Node::Any(nodes) => nodes.iter().map(Node::cost).max().unwrap_or(0),
        }
    }
}

/// What a search is about.
#[derive(Debug)]
pub(super) struct Scope<'v> {
    view: &'v View,
    saved: &'v UidSet,
    /// The messages that can be found: known to the client, and not known to be expunged.
    universe: UidSet,
}

impl<'v> Scope<'v> {
    pub(super) fn new(view: &'v View, saved: &'v UidSet) -> Scope<'v> {
        let universe = view.live(&view.all()).into_iter().map(mailstead_store::Uid::number).collect();
        Scope { view, saved, universe }
    }

    pub(super) fn into_universe(self) -> UidSet {
        self.universe
    }

    fn matching(&self, test: impl Fn(&Message<'_>) -> bool) -> UidSet {
        let all = self.view.all();
        let messages = self.view.messages(&all).filter(|message| !message.gone && test(message));
        messages.map(|message| message.uid.number()).collect()
    }

    fn has(&self, flag: &Flag) -> UidSet {
        if *flag == Flag::Recent {
            return self.matching(|message| message.recent);
        }
        let Some(wanted) = from_wire(std::slice::from_ref(flag)) else { return UidSet::new() };
        self.matching(|message| {
            message.flags.system.contains(wanted.system) && wanted.keywords.is_subset(&message.flags.keywords)
        })
    }

    fn known(&self, set: &UidSet) -> Node {
        Node::Known(self.universe.intersection(set))
    }

    fn not(&self, node: Node) -> Node {
        match node {
            Node::Known(set) => Node::Known(self.universe.difference(&set)),
            Node::Not(node) => *node,
            other => Node::Not(Box::new(other)),
        }
    }

    fn all(&self, nodes: Vec<Node>) -> Node {
        let mut known = self.universe.clone();
        let mut rest = Vec::new();
        for node in nodes {
            match node {
                Node::Known(set) => known = known.intersection(&set),
                Node::All(inner) => rest.extend(inner),
                other => rest.push(other),
            }
        }
        if rest.is_empty() || known.is_empty() {
            return Node::Known(known);
        }
        if known != self.universe {
            rest.push(Node::Known(known));
        }
        rest.sort_by_key(Node::cost);
        if rest.len() == 1 { rest.remove(0) } else { Node::All(rest) }
    }

    fn any(&self, nodes: Vec<Node>) -> Node {
        let mut known = UidSet::new();
        let mut rest = Vec::new();
        for node in nodes {
            match node {
                Node::Known(set) => known = known.union(&set),
                Node::Any(inner) => rest.extend(inner),
                other => rest.push(other),
            }
        }
        // To all nothing can be added.
        if rest.is_empty() || known == self.universe {
            return Node::Known(known);
        }
        if !known.is_empty() {
            rest.push(Node::Known(known));
        }
        rest.sort_by_key(Node::cost);
        if rest.len() == 1 { rest.remove(0) } else { Node::Any(rest) }
    }
}

/// The plan for a key.
pub(super) fn plan(key: &SearchKey, scope: &Scope<'_>) -> Result<Node, OutOfRange> {
    let view = scope.view;
    let stored = |stored| Ok(Node::Stored(stored));
    match key {
        SearchKey::All => Ok(scope.known(&scope.universe)),
        SearchKey::Sequence(MessageSet::Numbers(set)) => Ok(scope.known(&view.uids(&view.by_number(set)?))),
        SearchKey::Uid(MessageSet::Numbers(set)) => Ok(scope.known(&view.uids(&view.by_uid(set)))),
        SearchKey::Sequence(MessageSet::SearchResult) | SearchKey::Uid(MessageSet::SearchResult) => {
            Ok(scope.known(scope.saved))
        }
        SearchKey::Has(flag) => Ok(Node::Known(scope.has(flag))),
        SearchKey::Lacks(flag) => Ok(scope.not(Node::Known(scope.has(flag)))),
        // Mod-sequences are kept for messages, not for each flag; RFC 7162 §3.1.5 allows that.
        SearchKey::ModSeq { at_least, .. } => {
            Ok(Node::Known(scope.matching(|message| reply::number(message.modseq) >= *at_least)))
        }
        SearchKey::Text(needle) => stored(Stored::Text(TextField::Text, needle.as_str().into())),
        SearchKey::Body(needle) => stored(Stored::Text(TextField::Body, needle.as_str().into())),
        SearchKey::Header { field, value } => {
            stored(Stored::Header { field: field.as_str().into(), value: value.as_str().into() })
        }
        SearchKey::Larger(size) => stored(Stored::Larger(*size)),
        SearchKey::Smaller(size) => stored(Stored::Smaller(*size)),
        SearchKey::Date { field, relation, date } => {
            stored(Stored::Date { field: *field, relation: *relation, date: *date })
        }
        SearchKey::Not(key) => Ok(scope.not(plan(key, scope)?)),
        SearchKey::Or(keys) => Ok(scope.any(keys.iter().map(|key| plan(key, scope)).collect::<Result<_, _>>()?)),
        SearchKey::And(keys) => Ok(scope.all(keys.iter().map(|key| plan(key, scope)).collect::<Result<_, _>>()?)),
        // The grammar knows no other key.
        _ => Ok(Node::Known(UidSet::new())),
    }
}
