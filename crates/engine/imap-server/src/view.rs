//! The state of one selected mailbox as one session sees it: which messages there are, under which numbers, with which
//! flags, and how much of that the client has already been told.
//!
//! RFC 9051 §7.4, §7.5 (EXISTS, EXPUNGE, FETCH), RFC 3501 §7.3.2 (RECENT), RFC 7162 §3.2.10 (VANISHED) and §6 (delayed
//! expunges).
//!
//! Pure: no store, no socket, no clock. Changes come in with [`View::apply`] in the order of the store's change log;
//! what may be said about them comes out of [`View::take_updates`]. Between two calls of `take_updates` no message
//! number ever changes its meaning. A message costs 16 octets, so that mailboxes of many hundred thousand messages stay
//! cheap; equal flag sets are kept once. Which response is written for an update, and in which words, is decided in
//! `reply`.

mod flags;
mod numbers;
#[cfg(test)]
mod tests;

use std::ops::Range;

use mailstead_imap::{Flag, UidSet};
use mailstead_store::{Flags, MailboxChanges, MessageState, ModSeq, SystemFlags, Uid};

use flags::FlagTable;
pub(crate) use flags::from_wire;
pub(crate) use numbers::OutOfRange;

/// Whether message numbers may change now. RFC 9051 §7.5.1: not while no command is in progress, and not while
/// answering FETCH, STORE or SEARCH.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Expunges {
    /// Report what was expunged, and forget it.
    Report,
    /// Keep expunged messages in place: numbers stay as they are.
    Hold,
}

/// Whether the client knows the flags that are being recorded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Knowledge {
    /// They are being told, or the client asked not to be told (`.SILENT`).
    Told,
    /// They must be reported with the next updates.
    ToTell,
}

/// What changed since the last report, in the order in which it must be sent.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Updates {
    /// A keyword was seen that no FLAGS response has named: FLAGS goes first.
    pub(crate) keywords: bool,
    /// Expunged messages in ascending order: the number for an EXPUNGE response (each counted after the ones before it
    /// are gone) and the UID for a VANISHED response.
    pub(crate) expunged: Vec<(u32, Uid)>,
    /// The number of messages, when some arrived.
    pub(crate) exists: Option<u32>,
    /// The number of recent messages, likewise.
    pub(crate) recent: Option<u32>,
    /// Numbers of messages whose flags or mod-sequence changed, ascending.
    pub(crate) changed: Vec<u32>,
}

impl Updates {
    pub(crate) fn is_empty(&self) -> bool {
        *self == Updates::default()
    }
}

/// A message of the view.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Entry {
    uid: u32,
    /// Flag-set number in the low bits, the three states below in the high ones.
    bits: u32,
    modseq: i64,
}

/// The message is recent in this session.
const RECENT: u32 = 1 << 31;
/// The message is gone from the mailbox, which the client does not know yet.
const GONE: u32 = 1 << 30;
/// Flags or mod-sequence changed, which the client does not know yet.
const CHANGED: u32 = 1 << 29;
const FLAGS_MASK: u32 = CHANGED - 1;

/// One message as a command sees it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Message<'a> {
    /// The message sequence number.
    pub(crate) number: u32,
    pub(crate) uid: Uid,
    pub(crate) modseq: ModSeq,
    pub(crate) flags: &'a Flags,
    /// The flags as they are written, without `\Recent`.
    pub(crate) wire_flags: &'a [Flag],
    pub(crate) recent: bool,
    /// Expunged, although the client does not know it yet.
    pub(crate) gone: bool,
}

/// See the module documentation.
#[derive(Debug)]
pub(crate) struct View {
    /// Ascending by UID. The first `announced` are known to the client.
    messages: Vec<Entry>,
    announced: usize,
    gone: usize,
    changed: usize,
    /// The mailbox is known up to here.
    modseq: ModSeq,
    /// The mailbox was known up to here before the first expunge that is now being held back.
    held: Option<ModSeq>,
    /// UIDs that were claimed as recent last.
    recent: Range<u32>,
    flags: FlagTable,
}

impl View {
    /// The mailbox as just read, all of it told to the client (SELECT says EXISTS).
    pub(crate) fn new(messages: Vec<MessageState>, modseq: ModSeq, recent: Range<u32>) -> Self {
        let mut view = View {
            messages: Vec::with_capacity(messages.len()),
            announced: 0,
            gone: 0,
            changed: 0,
            modseq,
            held: None,
            recent,
            flags: FlagTable::default(),
        };
        for state in messages {
            view.push(state);
        }
        view.announced = view.messages.len();
        view.flags.take_news();
        view
    }

    /// How many messages the client knows of; the highest valid message number.
    pub(crate) fn exists(&self) -> u32 {
        to_u32(self.announced)
    }

    /// The number of recent messages that the client knows of.
    pub(crate) fn recent(&self) -> u32 {
        to_u32(self.messages[..self.announced].iter().filter(|entry| entry.bits & RECENT != 0).count())
    }

    /// The change log has been applied up to here.
    pub(crate) fn modseq(&self) -> ModSeq {
        self.modseq
    }

    /// The highest mod-sequence a client may remember without losing an expunge that it has not been told (RFC 7162
    /// §3.2, §6).
    pub(crate) fn safe_modseq(&self) -> ModSeq {
        self.held.unwrap_or(self.modseq)
    }

    /// True while expunges are being held back.
    pub(crate) fn holds_expunges(&self) -> bool {
        self.held.is_some()
    }

    /// All keywords that the client has been, or is about to be, told of.
    pub(crate) fn keywords(&self) -> impl Iterator<Item = &str> {
        self.flags.keywords()
    }

    /// Keywords that the mailbox knows without a message having them.
    pub(crate) fn add_keywords<'k>(&mut self, keywords: impl IntoIterator<Item = &'k str>) {
        for keyword in keywords {
            self.flags.add_keyword(keyword);
        }
    }

    /// The result of a claim of `\Recent` (RFC 3501 §2.3.2): of the messages not announced yet, and of those to come,
    /// the ones with these UIDs are recent here.
    pub(crate) fn claim_recent(&mut self, recent: Range<u32>) {
        self.recent = recent;
        for entry in &mut self.messages[self.announced..] {
            entry.bits |= recent_bit(&self.recent, entry.uid);
        }
    }

    /// True when messages arrived that the client has not been told of.
    pub(crate) fn has_arrivals(&self) -> bool {
        self.messages.len() > self.announced
    }

    fn push(&mut self, state: MessageState) {
        let bits = self.flags.intern(state.flags) | recent_bit(&self.recent, state.uid.number());
        self.messages.push(Entry { uid: state.uid.number(), bits, modseq: state.modseq.0 });
    }

    fn position(&self, uid: Uid) -> Result<usize, usize> {
        self.messages.binary_search_by_key(&uid.number(), |entry| entry.uid)
    }

    /// Takes in everything that the change log has after [`View::modseq`].
    pub(crate) fn apply(&mut self, changes: MailboxChanges) {
        let before = self.modseq;
        for state in changes.updated {
            if self.position(state.uid).is_ok() {
                self.record(state, Knowledge::ToTell);
            } else if self.messages.last().is_none_or(|last| last.uid < state.uid.number()) {
                self.push(state);
            }
        }
        let mut unannounced_gone = false;
        for uid in changes.vanished {
            let Ok(at) = self.position(uid) else { continue };
            let entry = &mut self.messages[at];
            if entry.bits & GONE != 0 {
                continue;
            }
            entry.bits |= GONE;
            if at < self.announced {
                self.gone += 1;
                self.held.get_or_insert(before);
            } else {
                unannounced_gone = true;
            }
        }
        if unannounced_gone {
            // RFC 7162 §3.2.10.2: never report as vanished what was never announced.
            let mut at = 0;
            let announced = self.announced;
            self.messages.retain(|entry| {
                at += 1;
                at <= announced || entry.bits & GONE == 0
            });
        }
        self.modseq = self.modseq.max(changes.modseq);
    }

    /// Takes in the present state of a message, from the change log or from this session's own write. Returns the
    /// message's number.
    pub(crate) fn record(&mut self, state: MessageState, knowledge: Knowledge) -> Option<u32> {
        let at = self.position(state.uid).ok()?;
        if state.modseq.0 < self.messages[at].modseq {
            return Some(to_u32(at) + 1);
        }
        let flags = self.flags.intern(state.flags);
        let entry = &mut self.messages[at];
        let same = entry.bits & FLAGS_MASK == flags && entry.modseq == state.modseq.0;
        entry.bits = (entry.bits & !FLAGS_MASK) | flags;
        entry.modseq = state.modseq.0;
        if at < self.announced && !same {
            match knowledge {
                Knowledge::ToTell if entry.bits & CHANGED == 0 => {
                    entry.bits |= CHANGED;
                    self.changed += 1;
                }
                Knowledge::Told if entry.bits & CHANGED != 0 => {
                    entry.bits &= !CHANGED;
                    self.changed -= 1;
                }
                _ => {}
            }
        }
        Some(to_u32(at) + 1)
    }

    /// The flags of this message are being sent, so that nothing is left to report about it. True if something was.
    pub(crate) fn told(&mut self, number: u32) -> bool {
        let entry = number.checked_sub(1).and_then(|at| self.messages.get_mut(at as usize));
        let Some(entry) = entry.filter(|entry| entry.bits & CHANGED != 0) else { return false };
        entry.bits &= !CHANGED;
        self.changed -= 1;
        true
    }

    /// True when FLAGS must be sent before the next flag list, because it may hold a keyword that the client has not
    /// seen (RFC 9051 §7.3.5). Asking counts as sending.
    pub(crate) fn take_new_keywords(&mut self) -> bool {
        self.flags.take_news()
    }

    /// What to tell the client now. Everything returned counts as told.
    pub(crate) fn take_updates(&mut self, expunges: Expunges) -> Updates {
        let mut updates = Updates { keywords: self.flags.take_news(), ..Updates::default() };
        if expunges == Expunges::Report && self.gone > 0 {
            updates.expunged = self.remove_gone();
        }
        if self.messages.len() > self.announced {
            self.announced = self.messages.len();
            updates.exists = Some(self.exists());
            updates.recent = Some(self.recent());
        }
        if self.changed > 0 {
            for (entry, number) in self.messages.iter_mut().zip(1..) {
                if entry.bits & CHANGED != 0 {
                    entry.bits &= !CHANGED;
                    if entry.bits & GONE == 0 {
                        updates.changed.push(number);
                    }
                }
            }
            self.changed = 0;
        }
        updates
    }

    fn remove_gone(&mut self) -> Vec<(u32, Uid)> {
        let mut expunged = Vec::with_capacity(self.gone);
        let mut number = 1;
        let mut changed = 0;
        self.messages.retain(|entry| {
            if entry.bits & GONE == 0 {
                number += 1;
                return true;
            }
            changed += usize::from(entry.bits & CHANGED != 0);
            expunged.extend(Uid::new(entry.uid).map(|uid| (number, uid)));
            false
        });
        self.announced -= expunged.len();
        self.changed -= changed;
        self.gone = 0;
        self.held = None;
        self.forget_unused_flags();
        expunged
    }

    /// A session that sees ever new combinations of keywords must not grow without end.
    fn forget_unused_flags(&mut self) {
        if self.flags.len() > 2 * self.messages.len() + 1024 {
            let old = self.flags.start_over();
            for entry in &mut self.messages {
                let flags = self.flags.intern(old.set(entry.bits & FLAGS_MASK).clone());
                entry.bits = (entry.bits & !FLAGS_MASK) | flags;
            }
        }
    }

    /// The message with this number. Numbers hold until the next [`View::take_updates`] that reports expunges.
    pub(crate) fn message(&self, number: u32) -> Option<Message<'_>> {
        let entry = self.messages.get(number.checked_sub(1)? as usize)?;
        let flags = entry.bits & FLAGS_MASK;
        Some(Message {
            number,
            uid: Uid::new(entry.uid)?,
            modseq: ModSeq(entry.modseq),
            flags: self.flags.set(flags),
            wire_flags: self.flags.wire(flags),
            recent: entry.bits & RECENT != 0,
            gone: entry.bits & GONE != 0,
        })
    }

    /// The messages with these numbers.
    pub(crate) fn messages<'a>(&'a self, numbers: &'a UidSet) -> impl Iterator<Item = Message<'a>> {
        numbers.iter().filter_map(|number| self.message(number))
    }

    /// The numbers of all messages that the client knows of.
    pub(crate) fn all(&self) -> UidSet {
        [1..=self.exists()].into_iter().collect()
    }

    /// The number of the message with this UID, if the client knows of it.
    pub(crate) fn find(&self, uid: Uid) -> Option<u32> {
        self.position(uid).ok().filter(|at| *at < self.announced).map(|at| to_u32(at) + 1)
    }

    /// The highest UID that the client knows of; what `*` means in a UID set.
    pub(crate) fn last_uid(&self) -> Option<Uid> {
        Uid::new(self.messages.get(self.announced.checked_sub(1)?)?.uid)
    }

    /// The first message without `\Seen`, for the UNSEEN response code of IMAP4rev1.
    pub(crate) fn first_unseen(&self) -> Option<u32> {
        let announced = self.messages[..self.announced].iter();
        announced
            .zip(1..)
            .find(|(entry, _)| !self.flags.set(entry.bits & FLAGS_MASK).system.contains(SystemFlags::SEEN))
            .map(|(_, number)| number)
    }
}

fn recent_bit(recent: &Range<u32>, uid: u32) -> u32 {
    if recent.contains(&uid) { RECENT } else { 0 }
}

fn to_u32(count: usize) -> u32 {
    // A UID has 32 bits, so a mailbox cannot hold more messages than that.
    u32::try_from(count).unwrap_or(u32::MAX)
}
