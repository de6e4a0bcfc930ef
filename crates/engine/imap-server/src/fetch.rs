//! FETCH and UID FETCH: RFC 9051 §6.4.5, §7.5.2, RFC 3516 (BINARY), RFC 7162 §3.1.4 (MODSEQ, CHANGEDSINCE), §3.2.6
//! (VANISHED).
//!
//! What the view knows (UID, FLAGS, MODSEQ) is answered from it. Everything else comes from the store in bounded
//! batches, each one snapshot; `content` decides what of a message is read, and large pieces are streamed. `\Seen` is
//! set before the first answer, in one write, so that each message's own FETCH response reports it.

mod binary;
mod content;

use std::sync::Arc;

use mailstead_imap::UidSet;
use mailstead_imap::command::{Access, Fetch, FetchAttribute, Numbering, SeenEffect};
use mailstead_imap::encode::{Data, FetchItem};
use mailstead_imap::{MessageSet, Response};
use mailstead_store::{self as store, Account, Detail, FlagChange, Flags, ModSeq, SystemFlags};

use crate::reply::{self, Close, Outcome};
use crate::session::{Enabled, Selected, Session};
use crate::sync::flags_item;
use crate::view::{Expunges, Knowledge, Message};
use crate::wire::Wire;
use content::{Chunk, Large, Loaded, Problem, Value, Wanted};

/// What one FETCH command sends for every message.
#[derive(Debug)]
struct Plan {
    attributes: Arc<[FetchAttribute]>,
    /// How much of the store is needed; `None`: the view knows it all.
    detail: Option<Detail>,
    /// Whether fetching sets `\Seen`.
    seen: SeenEffect,
}

impl Plan {
    fn new(fetch: &Fetch, enabled: Enabled) -> Plan {
        let mut attributes = fetch.attributes.clone();
        let mut require = |attribute: FetchAttribute| {
            if !attributes.contains(&attribute) {
                attributes.push(attribute);
            }
        };
        if fetch.numbering == Numbering::Uid {
            // RFC 9051 §6.4.9.
            require(FetchAttribute::Uid);
        }
        if fetch.changed_since.is_some() || enabled.condstore && fetch.attributes.contains(&FetchAttribute::Flags) {
            // RFC 7162 §3.1.4.1. With FLAGS always: else a change seen here would hide its mod-sequence for good.
            require(FetchAttribute::ModSeq);
        }
        let sets_seen = attributes.iter().any(|attribute| attribute.seen_effect() == SeenEffect::Sets);
        Plan {
            detail: attributes.iter().filter_map(detail).max_by_key(|detail| *detail == Detail::Content),
            attributes: attributes.into(),
            seen: if sets_seen { SeenEffect::Sets } else { SeenEffect::Peek },
        }
    }

    fn has(&self, attribute: &FetchAttribute) -> bool {
        self.attributes.contains(attribute)
    }
}

/// Which part of a stored row an item needs.
fn detail(attribute: &FetchAttribute) -> Option<Detail> {
    match attribute {
        FetchAttribute::Uid | FetchAttribute::Flags | FetchAttribute::ModSeq => None,
        FetchAttribute::InternalDate | FetchAttribute::Rfc822Size => Some(Detail::Row),
        _ => Some(Detail::Content),
    }
}

impl Session {
    pub(crate) async fn fetch(&mut self, fetch: Fetch) -> Outcome {
        if fetch.vanished && !self.enabled.qresync {
            return Ok(reply::QRESYNC_NOT_ENABLED);
        }
        if fetch.changed_since.is_some() || fetch.attributes.contains(&FetchAttribute::ModSeq) {
            self.enable_condstore();
        }
        let account = self.logged_in()?;
        self.sync().await?;
        self.report(Expunges::Hold).await?;
        let mut numbers = self.numbers(&fetch.set, fetch.numbering)?;
        if let Some(since) = fetch.changed_since {
            let since = reply::modseq(since);
            if fetch.vanished {
                self.send_vanished(&account, &fetch.set, since).await?;
            }
            numbers = self
                .selected()?
                .view
                .messages(&numbers)
                .filter(|message| message.modseq > since)
                .map(|message| message.number)
                .collect();
        }
        let plan = Plan::new(&fetch, self.enabled);
        let newly_seen = match plan.seen {
            SeenEffect::Sets => self.mark_seen(&account, &numbers).await?,
            SeenEffect::Peek => UidSet::new(),
        };
        self.announce_keywords();
        let Some(detail) = plan.detail else {
            return self.fetch_from_view(&plan, &numbers).await;
        };
        let reply = self.fetch_from_store(&account, &plan, detail, &numbers, &newly_seen).await?;
        // A UID that does not exist is no error, a message number is (RFC 9051 §6.4.9, RFC 2180 §4.1.2).
        Ok(if reply == reply::FETCH_EXPUNGED && fetch.numbering == Numbering::Uid {
            reply::ok("FETCH completed")
        } else {
            reply
        })
    }

    /// VANISHED (EARLIER): what a client asks about and is no longer there (RFC 7162 §3.2.6). What the client still
    /// counts among its messages is left to the VANISHED at the end of the command.
    async fn send_vanished(&mut self, account: &Account, set: &MessageSet, since: ModSeq) -> Outcome<()> {
        let selected = self.selected()?;
        let mailbox = selected.mailbox;
        let asked = match set {
            // What is expunged may have been the last message: `*` must reach beyond those that are left.
            MessageSet::Numbers(set) => set.resolve(u32::MAX),
            MessageSet::SearchResult => selected.saved.clone(),
        };
        let vanished = account.read(move |read| read.vanished_since(mailbox, since)).await?;
        let view = &self.selected()?.view;
        let vanished = vanished.into_iter().filter(|uid| view.find(*uid).is_none());
        let uids = vanished.map(store::Uid::number).collect::<UidSet>().intersection(&asked);
        if !uids.is_empty() {
            self.wire.send(&Response::Vanished { earlier: true, uids });
        }
        Ok(())
    }

    /// Sets `\Seen` where it is missing, in one write. Returns the numbers of the messages changed.
    async fn mark_seen(&mut self, account: &Account, numbers: &UidSet) -> Outcome<UidSet> {
        let selected = self.selected()?;
        if selected.access == Access::ReadOnly {
            return Ok(UidSet::new());
        }
        let unseen = selected
            .view
            .messages(numbers)
            .filter(|message| !message.gone && !message.flags.system.contains(SystemFlags::SEEN));
        let set: store::UidSet = unseen.map(|message| message.uid).collect();
        if set.is_empty() {
            return Ok(UidSet::new());
        }
        let mailbox = selected.mailbox;
        let seen = Flags::from(SystemFlags::SEEN);
        let outcome = account.write(move |write| write.set_flags(mailbox, &set, FlagChange::Add, &seen, None)).await?;
        let changed = outcome.changed.into_iter().filter_map(|state| selected.view.record(state, Knowledge::Told));
        Ok(changed.collect())
    }

    /// Answers from memory alone.
    async fn fetch_from_view(&mut self, plan: &Plan, numbers: &UidSet) -> Outcome {
        let Session { wire, selected: Some(selected), enabled, .. } = self else { return Ok(reply::NOTHING_SELECTED) };
        for number in numbers.iter() {
            told(selected, plan, number);
            let Some(message) = selected.view.message(number) else { continue };
            wire.encoder.fetch_start(number);
            for attribute in plan.attributes.iter() {
                view_item(wire, *enabled, &message, attribute);
            }
            wire.encoder.fetch_end();
            wire.relieve().await?;
        }
        Ok(reply::ok("FETCH completed"))
    }

    async fn fetch_from_store(
        &mut self,
        account: &Account,
        plan: &Plan,
        detail: Detail,
        numbers: &UidSet,
        newly_seen: &UidSet,
    ) -> Outcome {
        let selected = self.selected()?;
        let mailbox = selected.mailbox;
        let mut rest: store::UidSet = selected.view.live(numbers).into_iter().collect();
        let (mut sent, mut problem, mut downgraded) = (0, None, UidSet::new());
        let surrogates = !self.enabled.utf8 && !self.enabled.rev2;
        let wanted = Arc::new(Wanted { attributes: Arc::clone(&plan.attributes), detail, surrogates });
        while !rest.is_empty() {
            let batch = {
                let (wanted, rest) = (Arc::clone(&wanted), rest.clone());
                account.read(move |read| content::load(read, mailbox, &rest, &wanted)).await?
            };
            let Some(last) = batch.last().map(|loaded| loaded.uid) else { break };
            rest = rest.after(last);
            for loaded in batch {
                problem = problem.or(loaded.problem);
                if loaded.is_downgraded() {
                    downgraded.insert(loaded.uid.number());
                }
                sent += u64::from(self.send_loaded(account, plan, newly_seen, loaded).await?);
            }
        }
        Ok(match problem {
            Some(Problem::UnknownEncoding) => reply::UNKNOWN_CTE,
            Some(Problem::Unreadable) => reply::UNREADABLE,
            None if sent < numbers.len() => reply::FETCH_EXPUNGED,
            None if !downgraded.is_empty() => reply::downgraded(downgraded),
            None => reply::ok("FETCH completed"),
        })
    }

    /// The FETCH response of one message. False if the message is not in the view.
    async fn send_loaded(
        &mut self,
        account: &Account,
        plan: &Plan,
        newly_seen: &UidSet,
        loaded: Loaded,
    ) -> Result<bool, Close> {
        let Session { wire, selected: Some(selected), enabled, .. } = self else { return Ok(false) };
        let Some(number) = selected.view.find(loaded.uid) else { return Ok(false) };
        told(selected, plan, number);
        let Some(message) = selected.view.message(number) else { return Ok(false) };
        if !newly_seen.contains(number) && loaded.values.iter().all(|value| matches!(value, Value::Failed)) {
            // Nothing could be read, and an answer has at least one item (RFC 9051 §9, msg-att).
            return Ok(true);
        }
        wire.encoder.fetch_start(number);
        for (attribute, value) in plan.attributes.iter().zip(&loaded.values) {
            match value {
                Value::InView => view_item(wire, *enabled, &message, attribute),
                value => send_value(wire, account, attribute, value, &loaded).await?,
            }
        }
        if newly_seen.contains(number) {
            // RFC 9051 §6.4.5: flags changed by the FETCH go with it; RFC 7162 §3.2.4: then also UID and MODSEQ.
            let added = [FetchAttribute::Uid, FetchAttribute::Flags, FetchAttribute::ModSeq];
            for attribute in added.iter().filter(|attribute| !plan.has(attribute)) {
                if *attribute != FetchAttribute::ModSeq || enabled.condstore {
                    view_item(wire, *enabled, &message, attribute);
                }
            }
        }
        wire.encoder.fetch_end();
        wire.relieve().await?;
        Ok(true)
    }
}

/// When flags are sent, their change need not be reported again.
fn told(selected: &mut Selected, plan: &Plan, number: u32) {
    if plan.has(&FetchAttribute::Flags) {
        selected.view.told(number);
    }
}

/// An item that the view knows.
fn view_item(wire: &mut Wire, enabled: Enabled, message: &Message<'_>, attribute: &FetchAttribute) {
    match attribute {
        FetchAttribute::Uid => wire.encoder.fetch_item(&FetchItem::Uid(message.uid.number())),
        FetchAttribute::Flags => flags_item(wire, enabled, message),
        FetchAttribute::ModSeq => wire.encoder.fetch_item(&FetchItem::ModSeq(reply::number(message.modseq))),
        _ => {}
    }
}

/// An item that was read.
async fn send_value(
    wire: &mut Wire,
    account: &Account,
    attribute: &FetchAttribute,
    value: &Value,
    loaded: &Loaded,
) -> Result<(), Close> {
    match value {
        Value::InView | Value::Failed => {}
        Value::Found => send_found(wire, attribute, loaded),
        Value::Size(size) => wire.encoder.fetch_item(&match attribute {
            FetchAttribute::BinarySize { part } => FetchItem::BinarySize { part, size: *size },
            _ => FetchItem::Rfc822Size(*size),
        }),
        Value::Octets(chunk) => return send_octets(wire, account, attribute, chunk).await,
    }
    Ok(())
}

fn send_found(wire: &mut Wire, attribute: &FetchAttribute, loaded: &Loaded) {
    let Some(structure) = loaded.structure() else {
        return wire.encoder.fetch_item(&FetchItem::InternalDate(loaded.received_at));
    };
    match attribute {
        FetchAttribute::Envelope => wire.encoder.fetch_item(&FetchItem::Envelope(&structure.envelope())),
        FetchAttribute::Body => wire.encoder.fetch_item(&FetchItem::Body(&structure.root)),
        FetchAttribute::BodyStructure => wire.encoder.fetch_item(&FetchItem::BodyStructure(&structure.root)),
        _ => wire.encoder.fetch_item(&FetchItem::InternalDate(loaded.received_at)),
    }
}

async fn send_octets(
    wire: &mut Wire,
    account: &Account,
    attribute: &FetchAttribute,
    chunk: &Chunk,
) -> Result<(), Close> {
    let data = match chunk {
        Chunk::Nil => Data::Nil,
        Chunk::Held(octets) => Data::Octets(octets),
        Chunk::Large(large) => Data::Streamed { size: large.size(), nul: large.has_nul() },
    };
    let item = match attribute {
        FetchAttribute::Section { section, partial, .. } => {
            FetchItem::Section { section, origin: partial.map(|partial| partial.offset), data }
        }
        FetchAttribute::Binary { part, partial, .. } => {
            FetchItem::Binary { part, origin: partial.map(|partial| partial.offset), data }
        }
        FetchAttribute::Rfc822Header => FetchItem::Rfc822("RFC822.HEADER", data),
        FetchAttribute::Rfc822Text => FetchItem::Rfc822("RFC822.TEXT", data),
        _ => FetchItem::Rfc822("RFC822", data),
    };
    wire.encoder.fetch_item(&item);
    match chunk {
        Chunk::Large(large) => stream(wire, account, large).await,
        _ => Ok(()),
    }
}

/// The octets of a literal whose size has been announced. What cannot be read any more can only end the connection.
async fn stream(wire: &mut Wire, account: &Account, large: &Large) -> Result<(), Close> {
    let mut pieces = large.pieces();
    loop {
        let piece = pieces.next(account).await.map_err(|error| {
            tracing::error!(%error, "a message cannot be read to its end");
            Close::Gone(std::io::Error::other(error))
        })?;
        match piece {
            Some(octets) => wire.encoder.raw(&octets),
            None => return Ok(()),
        }
        wire.relieve().await?;
    }
}
