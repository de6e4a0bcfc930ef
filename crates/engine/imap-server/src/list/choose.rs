//! Which names a LIST shows, with which attributes: RFC 5258 §3 (selection), §3.5 (CHILDINFO); RFC 6154 §2.
//!
//! Pure. A name may be known as a mailbox, by its subscription, or only because a subscribed name is below it.

use std::collections::{BTreeMap, HashMap, HashSet};

use mailstead_imap::MailboxName;
use mailstead_imap::command::ListSelect;
use mailstead_imap::response::{ChildInfo, ListAttribute, ListEntry};
use mailstead_store::Mailbox;

use super::pattern::Pattern;
use super::{bare, entry};

/// All names of an account.
#[derive(Debug)]
pub(super) struct Hierarchy<'a> {
    names: BTreeMap<&'a str, Known<'a>>,
    /// Names with an existing mailbox below.
    parents: HashSet<&'a str>,
}

/// What is known about a name.
#[derive(Debug, Clone, Copy, Default)]
struct Known<'a> {
    mailbox: Option<&'a Mailbox>,
    subscribed: bool,
}

/// A name to be listed.
#[derive(Debug)]
pub(super) struct Chosen<'a> {
    pub(super) entry: ListEntry,
    /// The mailbox, if it exists and was itself selected, not only because of one below.
    pub(super) selected: Option<&'a Mailbox>,
}

impl<'a> Hierarchy<'a> {
    pub(super) fn new(mailboxes: &'a [Mailbox], subscriptions: &'a [String]) -> Hierarchy<'a> {
        let mut names: BTreeMap<&str, Known<'_>> = BTreeMap::new();
        for mailbox in mailboxes {
            names.entry(&mailbox.name).or_default().mailbox = Some(mailbox);
        }
        for name in subscriptions {
            names.entry(name).or_default().subscribed = true;
            for parent in parents(name) {
                names.entry(parent).or_default();
            }
        }
        let parents = mailboxes.iter().flat_map(|mailbox| parents(&mailbox.name)).collect();
        Hierarchy { names, parents }
    }

    pub(super) fn choose(&self, select: ListSelect, patterns: &[Pattern]) -> Vec<Chosen<'a>> {
        let matches = |name: &str| patterns.iter().any(|pattern| pattern.matches(name));
        let below = if select.recursive_match { self.below(select, &matches) } else { HashMap::new() };
        let mut chosen = Vec::new();
        for (name, known) in self.names.iter().filter(|(name, _)| matches(name)) {
            let selected = known.meets(select);
            match (selected, below.get(name)) {
                (true, children) => chosen.push((name, known, true, children.is_some())),
                // RFC 5258 §3.5: a parent that itself does not count is not shown if all that count below it are.
                (false, Some(Children::SomeHidden)) => chosen.push((name, known, false, true)),
                (false, _) => {}
            }
        }
        let to_chosen = |(name, known, selected, children): (&&'a str, &Known<'a>, bool, bool)| Chosen {
            entry: ListEntry {
                child_info: if children { child_info(select) } else { Vec::new() },
                ..self.entry(name, known)
            },
            selected: known.mailbox.filter(|_| selected),
        };
        chosen.into_iter().map(to_chosen).collect()
    }

    /// For every name with selected names below: whether all of these are shown themselves.
    fn below(&self, select: ListSelect, matches: &impl Fn(&str) -> bool) -> HashMap<&'a str, Children> {
        let mut below = HashMap::new();
        for name in self.names.iter().filter(|(_, known)| known.meets(select)).map(|(name, _)| *name) {
            let shown = matches(name);
            for parent in parents(name) {
                let children = below.entry(parent).or_insert(Children::AllShown);
                if !shown {
                    *children = Children::SomeHidden;
                }
            }
        }
        below
    }

    fn entry(&self, name: &'a str, known: &Known<'a>) -> ListEntry {
        let has_children = self.parents.contains(name);
        if let Some(mailbox) = known.mailbox {
            return entry(mailbox, has_children, known.subscribed);
        }
        // \NonExistent implies \NoSelect (RFC 5258 §3).
        let children = if has_children { ListAttribute::HasChildren } else { ListAttribute::HasNoChildren };
        let subscribed = known.subscribed.then_some(ListAttribute::Subscribed);
        let attributes = [Some(ListAttribute::NonExistent), subscribed, Some(children)].into_iter().flatten();
        ListEntry { attributes: attributes.collect(), ..bare(name) }
    }
}

/// Selected names below another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Children {
    AllShown,
    SomeHidden,
}

impl Known<'_> {
    /// Whether the name satisfies the selection options: all of them. REMOTE adds nothing here.
    fn meets(&self, select: ListSelect) -> bool {
        let special = self.mailbox.is_some_and(|mailbox| mailbox.special_use.is_some());
        (self.mailbox.is_some() || select.subscribed)
            && (self.subscribed || !select.subscribed)
            && (special || !select.special_use)
    }
}

fn child_info(select: ListSelect) -> Vec<ChildInfo> {
    let subscribed = select.subscribed.then_some(ChildInfo::Subscribed);
    let special_use = select.special_use.then_some(ChildInfo::SpecialUse);
    [subscribed, special_use].into_iter().flatten().collect()
}

/// The names above, outermost first.
fn parents(name: &str) -> impl Iterator<Item = &str> {
    name.match_indices(MailboxName::DELIMITER).filter_map(|(at, _)| name.get(..at))
}
