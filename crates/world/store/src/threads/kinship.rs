//! Which messages belong to one conversation: the rule, without a database.
//!
//! The rule is the one that RFC 8621 §3 suggests: two messages are kin when a message identifier appears in
//! the Message-ID, In-Reply-To or References of both and their base subjects (RFC 5256 §2.1) are equal.
//! Two additions: messages with one Message-ID are always kin, and so is a delivery notice with what it is
//! about, whose subject it cannot have. A thread is what kinship connects.
//!
//! Kinship is expressed by *bonds*: numbers made from the message, such that messages are kin exactly if
//! they share one. So threads are the connected parts of a graph, the same whatever order the messages
//! arrive in, a late message that holds the missing link joins what it links, and there are no parents here
//! that could form a cycle.
//!
//! A response that names no message at all is matched by subject, mailbox and time instead; that needs the
//! database and is in the parent module.

use std::collections::BTreeSet;

use mailstead_message::thread::Threading;
use sha2::{Digest, Sha256};

use crate::ids::ThreadId;

/// What threading looks at in a message.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct ThreadFacts {
    /// Identifiers and base subject.
    pub(crate) names: Threading,
    /// What the message is in its conversation.
    pub(crate) part: ThreadPart,
}

/// What a message is in its conversation.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum ThreadPart {
    /// Somebody's words.
    #[default]
    Letter,
    /// A report about another message (RFC 3464, RFC 8098), with a subject of its own.
    Notice,
}

/// A number that kin share. Made by a hash, so that an index of it is small.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Bond(pub(crate) i64);

impl Bond {
    fn new(kind: u8, id: &str, subject: &str) -> Self {
        let mut hash = Sha256::new();
        hash.update([kind]);
        hash.update(id.as_bytes());
        hash.update([0]);
        hash.update(subject.as_bytes());
        Bond(leading_number(&hash.finalize()))
    }

    /// Shared by all with this Message-ID and by notices about it.
    fn identity(id: &str) -> Self {
        Bond::new(b'i', id, "")
    }

    /// Shared by the message with this identifier and those that name it under the same subject.
    fn mention(id: &str, subject: &str) -> Self {
        Bond::new(b'm', id, subject)
    }
}

fn leading_number(hash: &[u8]) -> i64 {
    hash.iter().take(8).fold(0, |number, &octet| (number << 8) | i64::from(octet))
}

impl ThreadFacts {
    /// The bonds of the message, in no order that matters; empty when it names no message, itself included.
    pub(crate) fn bonds(&self) -> BTreeSet<Bond> {
        let subject = self.comparable_subject();
        let own = self.names.message_id.iter().flat_map(|id| [Bond::identity(id), Bond::mention(id, &subject)]);
        let others = self.names.references.iter().map(|id| match self.part {
            ThreadPart::Notice => Bond::identity(id),
            ThreadPart::Letter => Bond::mention(id, &subject),
        });
        own.chain(others).collect()
    }

    /// The base subject as a number, for those that only a subject can link; `None` when it is empty.
    pub(crate) fn subject_key(&self) -> Option<i64> {
        let subject = self.comparable_subject();
        (!subject.is_empty()).then(|| Bond::new(b's', "", &subject).0)
    }

    /// Whether only its subject can say what the message responds to.
    pub(crate) fn responds_by_subject(&self) -> bool {
        self.names.is_reply && self.names.references.is_empty() && self.subject_key().is_some()
    }

    fn comparable_subject(&self) -> String {
        crate::search::fold(&self.names.base_subject)
    }
}

/// What becomes of the threads that a new message is bound to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Union {
    /// The thread of the message from now on.
    pub(crate) into: ThreadId,
    /// Threads that the message turns out to connect with it; they end.
    pub(crate) ended: Vec<ThreadId>,
}

impl Union {
    /// The oldest of the threads found survives; `own` is for a message that is bound to none.
    pub(crate) fn new(found: BTreeSet<ThreadId>, own: ThreadId) -> Self {
        let mut found = found.into_iter();
        match found.next() {
            Some(into) => Union { into, ended: found.collect() },
            None => Union { into: own, ended: Vec::new() },
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    /// Threads of messages in memory, by the same rule as the database's.
    #[derive(Debug, Default)]
    struct Reckoning {
        threads: BTreeMap<Bond, ThreadId>,
        parents: BTreeMap<ThreadId, ThreadId>,
    }

    impl Reckoning {
        /// Adds a message by its bonds.
        fn add(&mut self, bonds: &BTreeSet<Bond>, own: ThreadId) -> ThreadId {
            let found = bonds.iter().filter_map(|bond| self.threads.get(bond)).map(|&thread| self.thread(thread));
            let union = Union::new(found.collect(), own);
            self.threads.extend(bonds.iter().map(|&bond| (bond, union.into)));
            for ended in union.ended {
                self.parents.insert(ended, union.into);
            }
            union.into
        }

        /// The thread that this one has become.
        fn thread(&self, mut thread: ThreadId) -> ThreadId {
            while let Some(&into) = self.parents.get(&thread) {
                thread = into;
            }
            thread
        }
    }

    fn message(id: &str, references: &[&str], subject: &str) -> ThreadFacts {
        ThreadFacts {
            names: Threading {
                message_id: (!id.is_empty()).then(|| id.to_owned()),
                references: references.iter().map(|&id| id.to_owned()).collect(),
                base_subject: subject.to_owned(),
                is_reply: !references.is_empty(),
            },
            part: ThreadPart::Letter,
        }
    }

    /// For each message, the lowest index of those in its thread.
    fn threads(messages: &[&ThreadFacts]) -> Vec<usize> {
        let mut reckoning = Reckoning::default();
        let assigned: Vec<ThreadId> =
            (0i64..).zip(messages).map(|(number, facts)| reckoning.add(&facts.bonds(), ThreadId(number))).collect();
        let settled: Vec<ThreadId> = assigned.into_iter().map(|thread| reckoning.thread(thread)).collect();
        settled.iter().map(|thread| settled.iter().position(|other| other == thread).unwrap_or_default()).collect()
    }

    #[test]
    fn references_link_under_one_subject() {
        let opening = message("a", &[], "lunch");
        let reply = message("b", &["a"], "Lunch");
        let strayed = message("c", &["a"], "something else");
        assert_eq!(threads(&[&opening, &reply, &strayed]), [0, 0, 2]);
    }

    #[test]
    fn a_late_message_joins_what_it_links() {
        let opening = message("a", &[], "lunch");
        let far = message("c", &["b"], "lunch");
        let link = message("b", &["a"], "lunch");
        assert_eq!(threads(&[&opening, &far]), [0, 1]);
        assert_eq!(threads(&[&opening, &far, &link]), [0, 0, 0]);
    }

    #[test]
    fn two_replies_to_a_message_we_never_saw_are_one_thread() {
        let (one, two) = (message("b", &["a"], "lunch"), message("c", &["a"], "lunch"));
        assert_eq!(threads(&[&one, &two]), [0, 0]);
    }

    #[test]
    fn one_message_id_is_one_thread_whatever_the_subject() {
        assert_eq!(threads(&[&message("a", &[], "x"), &message("a", &[], "y")]), [0, 0]);
    }

    #[test]
    fn a_notice_belongs_to_what_it_is_about() {
        let sent = message("a", &[], "lunch");
        let mut notice = message("n", &["a"], "Delivery failed");
        notice.part = ThreadPart::Notice;
        assert_eq!(threads(&[&sent, &notice]), [0, 0]);
        assert_eq!(threads(&[&notice, &sent]), [0, 0]);
    }

    #[test]
    fn circles_and_messages_without_identity_are_harmless() {
        let circle = [message("a", &["b", "a"], "x"), message("b", &["a"], "x"), message("", &[], "x")];
        assert_eq!(threads(&circle.iter().collect::<Vec<_>>()), [0, 0, 2]);
    }

    fn some_message() -> impl Strategy<Value = ThreadFacts> {
        let id = prop::option::weighted(0.9, "[a-h]");
        let references = prop::collection::vec("[a-h]", 0..3);
        let part = prop::sample::select(vec![ThreadPart::Letter, ThreadPart::Notice]);
        (id, references, "[xy]", part).prop_map(|(message_id, references, base_subject, part)| {
            let names = Threading { message_id, references, base_subject, is_reply: false };
            ThreadFacts { names, part }
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(256))]

        #[test]
        fn the_order_of_arrival_changes_nothing(
            (messages, order) in prop::collection::vec(some_message(), 0..10).prop_flat_map(|messages| {
                let order: Vec<usize> = (0..messages.len()).collect();
                (Just(messages), Just(order).prop_shuffle())
            }),
        ) {
            let together = threads(&messages.iter().collect::<Vec<_>>());
            let shuffled = threads(&order.iter().map(|&at| &messages[at]).collect::<Vec<_>>());
            for (new_one, &one) in order.iter().enumerate() {
                for (new_two, &two) in order.iter().enumerate() {
                    prop_assert_eq!(together[one] == together[two], shuffled[new_one] == shuffled[new_two]);
                }
            }
        }
    }
}
