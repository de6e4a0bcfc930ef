//! Random sequences of operations against a model in memory.
//!
//! After each sequence every mailbox must be what the model says, a client that only applied changes since
//! its last look must have the same view as one that reads everything, and the store must be consistent.

use std::collections::{BTreeMap, BTreeSet};

use mailstead_store::{Account, Error, FlagChange, Flags, MailboxId, ModSeq, Staged, Store, Uid, UidSet, Write};
use proptest::prelude::*;
use proptest::sample::select;
use proptest::test_runner::{Config, TestRunner};

use crate::letters::{new_message, numbers, uid};
use crate::support::{Engine, Place, run, staged};

const BOXES: [&str; 5] = ["Inbox", "Archive", "a", "a/b", "a/b/c"];
const FLAGS: [&str; 5] = ["\\Seen", "\\Deleted", "\\Flagged", "$Junk", "work"];

#[derive(Debug, Clone)]
enum Op {
    Append {
        mailbox: &'static str,
        flags: Vec<&'static str>,
        length: usize,
    },
    Store {
        mailbox: &'static str,
        uids: Vec<u32>,
        change: FlagChange,
        flags: Vec<&'static str>,
        since_look: bool,
    },
    Copy {
        from: &'static str,
        uids: Vec<u32>,
        to: &'static str,
    },
    Move {
        from: &'static str,
        uids: Vec<u32>,
        to: &'static str,
    },
    Expunge {
        mailbox: &'static str,
        uids: Option<Vec<u32>>,
    },
    Create(&'static str),
    Delete(&'static str),
    Rename(&'static str, &'static str),
    /// Several at once, the last of which fails: nothing may be left of them.
    Undone(Vec<Op>),
    /// The client looks at every mailbox.
    Look,
}

fn operations() -> impl Strategy<Value = Vec<Op>> {
    let mailbox = || select(BOXES.to_vec());
    let flags = || proptest::sample::subsequence(FLAGS.to_vec(), 0..=3);
    let uids = || prop::collection::vec(1_u32..12, 1..5);
    let change = select(vec![FlagChange::Add, FlagChange::Remove, FlagChange::Replace]);
    let append = (mailbox(), flags(), select(vec![10_usize, 400, 3000]));
    let append = append.prop_map(|(mailbox, flags, length)| Op::Append { mailbox, flags, length });
    let store = (mailbox(), uids(), change, flags(), any::<bool>())
        .prop_map(|(mailbox, uids, change, flags, since_look)| Op::Store { mailbox, uids, change, flags, since_look });
    let pair = move || (mailbox(), uids(), mailbox());
    let step = prop_oneof![
        6 => append,
        4 => store,
        3 => pair().prop_map(|(from, uids, to)| Op::Copy { from, uids, to }),
        3 => pair().prop_map(|(from, uids, to)| Op::Move { from, uids, to }),
        3 => (mailbox(), prop::option::of(uids())).prop_map(|(mailbox, uids)| Op::Expunge { mailbox, uids }),
        2 => mailbox().prop_map(Op::Create),
        1 => mailbox().prop_map(Op::Delete),
        1 => (mailbox(), mailbox()).prop_map(|(from, to)| Op::Rename(from, to)),
        2 => Just(Op::Look),
    ];
    let undone = prop::collection::vec(step.clone(), 1..4).prop_map(Op::Undone);
    prop::collection::vec(prop_oneof![12 => step, 1 => undone], 1..40)
}

/// What a mailbox should be.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Box {
    next: u32,
    messages: BTreeMap<u32, (Flags, u64)>,
}

/// What a client knows of a mailbox.
#[derive(Debug, Clone, Default)]
struct View {
    modseq: Option<ModSeq>,
    flags: BTreeMap<u32, Flags>,
}

struct Model {
    boxes: BTreeMap<String, Box>,
    views: BTreeMap<MailboxId, View>,
    /// The modseq of the last look at the account.
    looked: ModSeq,
    /// What was changed since, by mailbox name: a STORE with UNCHANGEDSINCE must leave it alone.
    touched: BTreeSet<(String, u32)>,
}

/// The bodies that are appended, staged once.
struct Bodies(Vec<Staged>);

impl Bodies {
    async fn new(store: &Store) -> Self {
        let mut bodies = Vec::new();
        for length in [10, 400, 3000] {
            bodies.push(staged(store, &format!("Subject: {length}\r\n\r\n{}", "x".repeat(length))).await);
        }
        Bodies(bodies)
    }

    fn of(&self, length: usize) -> &Staged {
        self.0.iter().find(|body| body.size() > length as u64).expect("one is longer")
    }
}

fn set(uids: &[u32]) -> UidSet {
    uids.iter().copied().map(uid).collect()
}

/// Does one operation, as an engine would. What the operation says comes out as a line, to be compared.
fn perform(write: &mut Write<'_>, op: &Op, bodies: &Bodies, looked: ModSeq) -> Result<String, Error> {
    let id = |write: &Write<'_>, name| Ok::<_, Error>(write.mailbox_by_name(name)?.ok_or(Error::NoMailbox)?.id);
    let said = match op {
        Op::Append { mailbox, flags, length } => {
            let mut message = new_message(id(write, mailbox)?, bodies.of(*length));
            message.flags = Flags::from_names(flags.iter().copied());
            format!("{}", write.append(&message)?.uid)
        }
        Op::Store { mailbox, uids, change, flags, since_look } => {
            let flags = Flags::from_names(flags.iter().copied());
            let since = since_look.then_some(looked);
            let outcome = write.set_flags(id(write, mailbox)?, &set(uids), *change, &flags, since)?;
            format!("{:?} {:?}", numbers(outcome.changed.iter().map(|state| state.uid)), numbers(outcome.failed))
        }
        Op::Copy { from, uids, to } => pairs(&write.copy_messages(id(write, from)?, &set(uids), id(write, to)?)?),
        Op::Move { from, uids, to } => pairs(&write.move_messages(id(write, from)?, &set(uids), id(write, to)?)?),
        Op::Expunge { mailbox, uids } => {
            let uids = uids.as_deref().map(set);
            format!("{:?}", numbers(write.expunge(id(write, mailbox)?, uids.as_ref())?))
        }
        Op::Create(name) => write.create_mailbox(name, None)?.name,
        Op::Delete(name) => {
            write.delete_mailbox(id(write, name)?)?;
            String::new()
        }
        Op::Rename(from, to) => write.rename_mailbox(id(write, from)?, to)?.name,
        Op::Undone(ops) => {
            for op in ops {
                // Their own failures are no reason to stop; that they happened is undone with the rest.
                let _ = perform(write, op, bodies, looked);
            }
            return Err(Error::aborted(std::io::Error::other("undone")));
        }
        Op::Look => String::new(),
    };
    Ok(said)
}

fn pairs(pairs: &[(Uid, Uid)]) -> String {
    format!("{:?}", pairs.iter().map(|(old, new)| (old.number(), new.number())).collect::<Vec<_>>())
}

impl Model {
    fn get(&mut self, name: &str) -> Result<&mut Box, ()> {
        self.boxes.get_mut(name).ok_or(())
    }

    /// What the operation should do and say; `Err` for any refusal.
    fn perform(&mut self, op: &Op, bodies: &Bodies) -> Result<String, ()> {
        match op {
            Op::Append { mailbox, flags, length } => {
                let flags = Flags::from_names(flags.iter().copied());
                let number = self.put(mailbox, flags, bodies.of(*length).size())?;
                Ok(number.to_string())
            }
            Op::Store { mailbox, uids, change, flags, since_look } => {
                let by = Flags::from_names(flags.iter().copied());
                let (mut changed, mut failed) = (Vec::new(), Vec::new());
                for number in uids.iter().copied().collect::<BTreeSet<_>>() {
                    let touched = self.touched.contains(&((*mailbox).to_owned(), number));
                    let Some((flags, _)) = self.get(mailbox)?.messages.get_mut(&number) else { continue };
                    if *since_look && touched {
                        failed.push(number);
                    } else if flags.changed(*change, &by) != *flags {
                        *flags = flags.changed(*change, &by);
                        changed.push(number);
                    }
                }
                self.touched.extend(changed.iter().map(|number| ((*mailbox).to_owned(), *number)));
                Ok(format!("{changed:?} {failed:?}"))
            }
            Op::Copy { from, uids, to } => self.transfer(from, uids, to, false),
            Op::Move { from, uids, to } => self.transfer(from, uids, to, true),
            Op::Expunge { mailbox, uids } => {
                let mut gone = Vec::new();
                self.get(mailbox)?.messages.retain(|number, (flags, _)| {
                    let deleted = flags.names().any(|name| name == "\\Deleted");
                    let goes = deleted && uids.as_ref().is_none_or(|uids| uids.contains(number));
                    gone.extend(goes.then_some(*number));
                    !goes
                });
                Ok(format!("{gone:?}"))
            }
            Op::Create(name) => {
                if self.boxes.contains_key(*name) {
                    return Err(());
                }
                self.ensure(name);
                Ok((*name).to_owned())
            }
            Op::Delete(name) => {
                let below = format!("{name}/");
                if *name == "Inbox" || self.boxes.keys().any(|other| other.starts_with(&below)) {
                    return Err(());
                }
                self.boxes.remove(*name).map(|_| String::new()).ok_or(())
            }
            Op::Rename(from, to) => self.rename(from, to),
            Op::Undone(_) => Err(()),
            Op::Look => Ok(String::new()),
        }
    }

    fn put(&mut self, mailbox: &str, flags: Flags, size: u64) -> Result<u32, ()> {
        let there = self.get(mailbox)?;
        let number = there.next;
        there.next += 1;
        there.messages.insert(number, (flags, size));
        self.touched.insert((mailbox.to_owned(), number));
        Ok(number)
    }

    fn transfer(&mut self, from: &str, uids: &[u32], to: &str, take: bool) -> Result<String, ()> {
        self.get(from)?;
        self.get(to)?;
        if from == to {
            return Err(());
        }
        let mut done = Vec::new();
        for number in uids.iter().copied().collect::<BTreeSet<_>>() {
            let Some((flags, size)) = self.get(from)?.messages.get(&number).cloned() else { continue };
            if take {
                self.get(from)?.messages.remove(&number);
            }
            done.push((number, self.put(to, flags, size)?));
        }
        Ok(format!("{done:?}"))
    }

    fn ensure(&mut self, name: &str) {
        for (at, _) in name.match_indices('/').chain([(name.len(), "")]) {
            self.boxes.entry(name[..at].to_owned()).or_insert_with(|| Box { next: 1, messages: BTreeMap::new() });
        }
    }

    fn rename(&mut self, from: &str, to: &str) -> Result<String, ()> {
        self.get(from)?;
        if from == "Inbox" {
            if self.boxes.contains_key(to) {
                return Err(());
            }
            self.ensure(to);
            let all: Vec<u32> = self.get(from)?.messages.keys().copied().collect();
            self.transfer(from, &all, to, true)?;
            return Ok(to.to_owned());
        }
        let below = format!("{from}/");
        let (tree, others): (BTreeMap<_, _>, BTreeMap<_, _>) =
            self.boxes.clone().into_iter().partition(|(name, _)| name == from || name.starts_with(&below));
        let renamed = |name: &str| format!("{to}{}", &name[from.len()..]);
        if from == to || tree.keys().any(|name| others.contains_key(&renamed(name))) {
            return Err(());
        }
        let touched = std::mem::take(&mut self.touched);
        let moved = |name: String| if tree.contains_key(&name) { renamed(&name) } else { name };
        self.touched = touched.into_iter().map(|(name, number)| (moved(name), number)).collect();
        self.boxes = others;
        self.boxes.extend(tree.iter().map(|(name, mailbox)| (renamed(name), mailbox.clone())));
        self.ensure(to);
        Ok(to.to_owned())
    }

    /// Looks at the account as a client that applies changes, and compares with the model.
    async fn look(&mut self, account: &Account) {
        let views = self.views.clone();
        let (boxes, views, now) = account
            .read(move |read| {
                let (mut boxes, mut seen) = (BTreeMap::new(), BTreeMap::new());
                for mailbox in read.mailboxes()? {
                    let mut view = views.get(&mailbox.id).cloned().unwrap_or_default();
                    let changes = read.changes_since(mailbox.id, view.modseq.unwrap_or(ModSeq(0)))?;
                    for gone in changes.vanished {
                        view.flags.remove(&gone.number());
                    }
                    view.flags.extend(changes.updated.into_iter().map(|state| (state.uid.number(), state.flags)));
                    view.modseq = Some(changes.modseq);
                    seen.insert(mailbox.id, view.clone());
                    boxes.insert(mailbox.name.clone(), (mailbox, view));
                }
                Ok((boxes, seen, read.account_modseq()?))
            })
            .await
            .expect("read");
        assert_eq!(boxes.keys().collect::<Vec<_>>(), self.boxes.keys().collect::<Vec<_>>());
        for (name, (mailbox, view)) in boxes {
            let expected = &self.boxes[&name];
            let flags: BTreeMap<u32, Flags> =
                expected.messages.iter().map(|(number, (flags, _))| (*number, flags.clone())).collect();
            assert_eq!(view.flags, flags, "the view of {name}");
            let count = |name| flags.values().filter(|flags| flags.names().any(|flag| flag == name)).count();
            let counts = mailbox.counts;
            assert_eq!(counts.total as usize, flags.len(), "{name}");
            assert_eq!(counts.unseen as usize, flags.len() - count("\\Seen"), "{name}");
            assert_eq!(counts.deleted as usize, count("\\Deleted"), "{name}");
            assert_eq!(counts.size, expected.messages.values().map(|(_, size)| size).sum::<u64>(), "{name}");
            assert_eq!(mailbox.uid_next.number(), expected.next, "{name}");
        }
        self.views = views;
        self.looked = now;
        self.touched.clear();
    }
}

async fn play(place: &Place, ops: Vec<Op>) {
    let (store, account) = place.with_account().await;
    let bodies = std::sync::Arc::new(Bodies::new(&store).await);
    let fresh = |name: &str| (name.to_owned(), Box { next: 1, messages: BTreeMap::new() });
    let mut model = Model {
        boxes: ["Archive", "Drafts", "Inbox", "Junk", "Sent", "Trash"].map(fresh).into(),
        views: BTreeMap::new(),
        looked: ModSeq(0),
        touched: BTreeSet::new(),
    };
    model.look(&account).await;
    for op in ops {
        if matches!(op, Op::Look) {
            model.look(&account).await;
            continue;
        }
        let (closure_op, bodies_there, looked) = (op.clone(), std::sync::Arc::clone(&bodies), model.looked);
        let done = account.write(move |write| perform(write, &closure_op, &bodies_there, looked)).await;
        let expected = model.perform(&op, &bodies);
        assert_eq!(done.as_ref().ok(), expected.as_ref().ok(), "{op:?}: {done:?}");
    }
    model.look(&account).await;
    place.check_and_close(store).await;
}

fn properties(engine: Engine, cases: u32) {
    let config = Config { cases, max_shrink_iters: 200, failure_persistence: None, ..Config::default() };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let tested = TestRunner::new(config).run(&operations(), |ops| {
        runtime.block_on(run(engine, async |place| play(place, ops.clone()).await));
        Ok(())
    });
    if let Err(failure) = tested {
        panic!("{failure}");
    }
}

#[test]
fn the_store_is_as_the_model_sqlite() {
    properties(Engine::Sqlite, 16);
}

#[test]
fn the_store_is_as_the_model_postgres() {
    properties(Engine::Postgres, 6);
}
