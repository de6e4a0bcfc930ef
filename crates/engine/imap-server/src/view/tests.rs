//! The view against a plain model of the mailbox and a client that believes every response it gets.

use std::collections::BTreeMap;

use mailstead_store::{Flags, MailboxChanges, MessageId, MessageState, ModSeq, Uid};
use proptest::prelude::*;

use mailstead_imap::{SequenceNumber, SequenceSet};

use super::{Expunges, Knowledge, OutOfRange, Updates, View};

fn uid(n: u32) -> Uid {
    Uid::new(n).expect("not zero")
}

fn state(n: u32, flags: &str, modseq: i64) -> MessageState {
    MessageState {
        uid: uid(n),
        id: MessageId(i64::from(n)),
        flags: Flags::from_names(flags.split_whitespace()),
        modseq: ModSeq(modseq),
    }
}

fn changes(modseq: i64, updated: Vec<MessageState>, vanished: Vec<Uid>) -> MailboxChanges {
    MailboxChanges { updated, vanished, modseq: ModSeq(modseq) }
}

fn text(flags: &Flags) -> String {
    flags.names().collect::<Vec<_>>().join(" ")
}

/// The mailbox itself: what is there, and a change log.
#[derive(Debug, Default)]
struct Mailbox {
    messages: BTreeMap<u32, (String, i64)>,
    log: Vec<(i64, u32)>,
    modseq: i64,
    last_uid: u32,
}

impl Mailbox {
    fn log(&mut self, uid: u32) -> i64 {
        self.modseq += 1;
        self.log.push((self.modseq, uid));
        self.modseq
    }

    fn append(&mut self) {
        self.last_uid += 2;
        let modseq = self.log(self.last_uid);
        self.messages.insert(self.last_uid, (String::new(), modseq));
    }

    fn nth(&self, n: usize) -> Option<u32> {
        self.messages.keys().copied().nth(n % self.messages.len().max(1))
    }

    fn store(&mut self, n: usize, flags: &str) -> Option<MessageState> {
        let at = self.nth(n)?;
        let modseq = self.log(at);
        self.messages.insert(at, (flags.to_owned(), modseq));
        Some(state(at, flags, modseq))
    }

    fn expunge(&mut self, n: usize) {
        if let Some(at) = self.nth(n) {
            self.messages.remove(&at);
            self.log(at);
        }
    }

    /// When each message changed last, the expunged ones too.
    fn last_changes(&self) -> impl Iterator<Item = (i64, u32)> {
        let last: BTreeMap<u32, i64> = self.log.iter().map(|(modseq, uid)| (*uid, *modseq)).collect();
        last.into_iter().map(|(uid, modseq)| (modseq, uid))
    }

    fn since(&self, since: ModSeq) -> MailboxChanges {
        let mut touched: Vec<u32> =
            self.log.iter().filter(|(modseq, _)| *modseq > since.0).map(|(_, uid)| *uid).collect();
        touched.sort_unstable();
        touched.dedup();
        let (live, gone): (Vec<u32>, Vec<u32>) = touched.into_iter().partition(|uid| self.messages.contains_key(uid));
        MailboxChanges {
            updated: live.into_iter().map(|uid| self.state(uid)).collect(),
            vanished: gone.into_iter().map(uid).collect(),
            modseq: ModSeq(self.modseq),
        }
    }

    fn state(&self, uid: u32) -> MessageState {
        let (flags, modseq) = &self.messages[&uid];
        state(uid, flags, *modseq)
    }

    fn states(&self) -> Vec<MessageState> {
        self.messages.keys().map(|uid| self.state(*uid)).collect()
    }
}

/// A client: its list of messages is made from responses alone.
#[derive(Debug, Default)]
struct Client {
    messages: Vec<Option<(u32, String, i64)>>,
    keywords: Vec<String>,
    uses_vanished: bool,
}

impl Client {
    fn hear(&mut self, view: &View, updates: &Updates) {
        if updates.keywords {
            self.keywords = view.keywords().map(str::to_owned).collect();
        }
        for (number, uid) in &updates.expunged {
            if self.uses_vanished {
                let before = self.messages.len();
                self.messages.retain(|message| message.as_ref().is_none_or(|(known, ..)| *known != uid.number()));
                assert_eq!(self.messages.len() + 1, before, "VANISHED names a message that the client knows");
            } else {
                self.messages.remove(*number as usize - 1);
            }
        }
        if let Some(exists) = updates.exists {
            assert!(exists as usize >= self.messages.len(), "EXISTS never shrinks a mailbox");
            self.messages.resize(exists as usize, None);
        }
        for number in &updates.changed {
            self.fetch(view, *number);
        }
        // What a client does on EXISTS: ask for what it does not know.
        for at in 0..self.messages.len() {
            if self.messages[at].is_none() {
                self.fetch(view, at as u32 + 1);
            }
        }
        assert_eq!(self.messages.len(), view.exists() as usize);
    }

    fn fetch(&mut self, view: &View, number: u32) {
        let message = view.message(number).expect("a valid number");
        assert_eq!(message.number, number);
        for keyword in message.flags.names().filter(|name| !name.starts_with('\\')) {
            assert!(self.keywords.iter().any(|known| known == keyword), "FLAGS comes before {keyword} is used");
        }
        let known = &mut self.messages[number as usize - 1];
        if let Some((uid, ..)) = known {
            assert_eq!(*uid, message.uid.number(), "a number keeps its message");
        }
        *known = Some((message.uid.number(), text(message.flags), message.modseq.0));
    }
}

#[derive(Debug, Clone)]
enum Step {
    Append,
    Store(usize, &'static str),
    /// A STORE of this session, reported by its own reply.
    OwnStore(usize, &'static str),
    Expunge(usize),
    Sync(Expunges),
}

fn step() -> impl Strategy<Value = Step> {
    let flags = prop::sample::select(vec!["", "\\Seen", "\\Deleted", "\\Seen $Junk", "$Forwarded", "todo \\Answered"]);
    prop_oneof![
        2 => Just(Step::Append),
        2 => (any::<usize>(), flags.clone()).prop_map(|(n, flags)| Step::Store(n, flags)),
        1 => (any::<usize>(), flags).prop_map(|(n, flags)| Step::OwnStore(n, flags)),
        2 => any::<usize>().prop_map(Step::Expunge),
        2 => prop::sample::select(vec![Expunges::Report, Expunges::Hold]).prop_map(Step::Sync),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    /// Applying changes equals re-reading, and a client that applies our responses ends with the mailbox.
    #[test]
    fn view_and_client_follow_the_mailbox(
        initial in 0usize..6,
        steps in prop::collection::vec(step(), 0..60),
        uses_vanished in any::<bool>(),
    ) {
        let mut mailbox = Mailbox::default();
        (0..initial).for_each(|_| mailbox.append());
        let mut view = View::new(mailbox.states(), ModSeq(mailbox.modseq), 0..0);
        let mut client = Client { uses_vanished, ..Client::default() };
        client.hear(&view, &Updates { keywords: true, exists: Some(view.exists()), ..Updates::default() });

        for step in steps.into_iter().chain([Step::Sync(Expunges::Hold), Step::Sync(Expunges::Report)]) {
            match step {
                Step::Append => mailbox.append(),
                Step::Store(n, flags) => drop(mailbox.store(n, flags)),
                Step::OwnStore(n, flags) => {
                    let known = mailbox.nth(n).is_some_and(|n| view.find(uid(n)).is_some());
                    let stored = if known { mailbox.store(n, flags) } else { None };
                    if let Some(number) = stored.and_then(|state| view.record(state, Knowledge::Told)) {
                        if view.take_new_keywords() {
                            client.keywords = view.keywords().map(str::to_owned).collect();
                        }
                        client.fetch(&view, number);
                    }
                }
                Step::Expunge(n) => mailbox.expunge(n),
                Step::Sync(expunges) => {
                    let safe = view.safe_modseq();
                    view.apply(mailbox.since(view.modseq()));
                    let updates = view.take_updates(expunges);
                    client.hear(&view, &updates);
                    if expunges == Expunges::Report {
                        prop_assert!(!view.holds_expunges());
                        let seen: Vec<_> = client.messages.iter().flatten().cloned().collect();
                        let there = mailbox.states().into_iter();
                        let there: Vec<_> = there.map(|m| (m.uid.number(), text(&m.flags), m.modseq.0)).collect();
                        prop_assert_eq!(seen, there);
                        let fresh = View::new(mailbox.states(), ModSeq(mailbox.modseq), 0..0);
                        prop_assert_eq!(view.exists(), fresh.exists());
                    } else {
                        prop_assert!(updates.expunged.is_empty());
                        // Nothing that is held back lies below what the client may remember.
                        let is_untold = |n: u32| view.find(uid(n)).is_some() && !mailbox.messages.contains_key(&n);
                        for (expunged_at, n) in mailbox.last_changes() {
                            prop_assert!(!is_untold(n) || view.safe_modseq().0 < expunged_at);
                        }
                        prop_assert!(view.safe_modseq() >= safe);
                    }
                }
            }
        }
    }
}

fn view_of(uids: &[u32]) -> View {
    View::new(uids.iter().map(|n| state(*n, "", 1)).collect(), ModSeq(1), 0..0)
}

#[test]
fn a_message_is_sixteen_octets() {
    assert_eq!(std::mem::size_of::<super::Entry>(), 16);
}

/// A range as a client writes it; 0 stands for `*`.
fn range(one: u32, other: u32) -> SequenceSet {
    let number = |n| if n == 0 { SequenceNumber::Largest } else { SequenceNumber::Number(n) };
    SequenceSet::new(vec![(number(one), number(other))])
}

#[test]
fn numbers_out_of_range_are_refused_and_open_ranges_are_empty() {
    let view = view_of(&[10, 20, 30]);
    let numbers = |one, other| view.by_number(&range(one, other)).map(|set| set.to_string());
    assert_eq!(numbers(1, 3), Ok("1:3".into()));
    assert_eq!(numbers(3, 2), Ok("2:3".into()));
    assert_eq!(numbers(0, 0), Ok("3".into()));
    assert_eq!(numbers(2, 0), Ok("2:3".into()));
    assert_eq!(numbers(4, 0), Ok(String::new()));
    assert_eq!(numbers(4, 4), Err(OutOfRange));
    assert_eq!(numbers(1, 4), Err(OutOfRange));
    assert!(view_of(&[]).by_number(&range(1, 0)).is_ok_and(|set| set.is_empty()));
    assert!(view_of(&[]).by_number(&range(0, 0)).is_ok_and(|set| set.is_empty()));
}

/// RFC 9051 §6.4.9: `559:*` includes the last message even if 559 is higher than any UID.
#[test]
fn uid_ranges_ignore_what_does_not_exist() {
    let view = view_of(&[10, 20, 30]);
    let numbers = |one, other| view.by_uid(&range(one, other)).to_string();
    assert_eq!(numbers(11, 29), "2");
    assert_eq!(numbers(559, 0), "3");
    assert_eq!(numbers(1, u32::MAX), "1:3");
    assert_eq!(numbers(11, 19), "");
    assert!(view_of(&[]).by_uid(&range(1, 0)).is_empty());
    assert_eq!(view.uids(&view.all()).to_string(), "10,20,30");
}

/// RFC 7162 §3.2.10.2: what arrives and goes between two reports is never mentioned.
#[test]
fn arrivals_that_vanish_unannounced_are_silent() {
    let mut view = view_of(&[1]);
    view.apply(changes(3, vec![state(2, "", 2), state(3, "", 3)], vec![]));
    view.apply(changes(4, vec![], vec![uid(2), uid(9)]));
    assert!(!view.holds_expunges());
    let updates = view.take_updates(Expunges::Report);
    assert_eq!(updates, Updates { exists: Some(2), recent: Some(0), ..Updates::default() });
    assert_eq!(view.message(2).map(|message| message.uid), Some(uid(3)));
}

#[test]
fn recent_messages_are_counted_once() {
    let mut view = View::new(vec![state(1, "", 1), state(2, "", 1)], ModSeq(1), 2..3);
    assert_eq!(view.recent(), 1);
    view.apply(changes(2, vec![state(3, "", 2), state(4, "", 2)], vec![]));
    view.claim_recent(4..7);
    let updates = view.take_updates(Expunges::Hold);
    assert_eq!((updates.exists, updates.recent), (Some(4), Some(2)));
    view.apply(changes(3, vec![state(5, "", 3), state(7, "", 3)], vec![uid(2)]));
    let updates = view.take_updates(Expunges::Report);
    assert_eq!((updates.expunged, updates.recent), (vec![(2, uid(2))], Some(2)));
}

#[test]
fn distinct_flag_sets_do_not_pile_up() {
    let mut view = view_of(&[1, 2]);
    for n in 0..3000 {
        view.apply(changes(n + 2, vec![state(1, &format!("k{}", n % 1500), n + 2)], vec![]));
    }
    view.apply(changes(4000, vec![], vec![uid(2)]));
    view.take_updates(Expunges::Report);
    assert!(view.flags.len() < 3);
    assert_eq!(view.message(1).map(|message| text(message.flags)).as_deref(), Some("k1499"));
}
