//! Several sessions on one mailbox at once, each with a client that believes what it is told: with whatever is done, in
//! whatever order, no number ever names another message, and in the end every client has the mailbox.

use std::collections::BTreeSet;

use mailstead_imap::client::{Fetch, Reader, Response, Status, Value};
use mailstead_imap::response::Condition;
use proptest::prelude::*;
use proptest::test_runner::TestRunner;

use super::{Client, Scene, scene};

/// What one client knows: UIDs where it has heard them, flags where it has.
#[derive(Debug, Default)]
struct Believer {
    messages: Vec<(Option<u32>, Option<BTreeSet<String>>)>,
    flags: Vec<String>,
    recent: BTreeSet<u32>,
    /// The highest mod-sequence it may remember, by the rules of RFC 7162 §6.
    modseq: u64,
    seen_modseq: u64,
}

impl Believer {
    fn hear(&mut self, response: Response) {
        match response {
            Response::Exists(count) => {
                assert!(count as usize >= self.messages.len(), "EXISTS shrinks nothing");
                self.messages.resize(count as usize, (None, None));
            }
            Response::Expunge(number) => drop(self.messages.remove(number as usize - 1)),
            Response::Vanished { earlier: false, uids } => {
                for uid in uids.iter() {
                    let at = self.messages.iter().position(|(known, _)| *known == Some(uid));
                    self.messages.remove(at.expect("VANISHED names a message that is there"));
                }
            }
            Response::Flags(flags) => self.flags = flags,
            Response::Fetch(fetch) => self.fetch(&fetch),
            Response::Status(Status { code: Some((name, values)), .. }) if name == "HIGHESTMODSEQ" => {
                self.modseq = values[0].as_number().expect("a number");
                self.seen_modseq = self.modseq;
            }
            _ => {}
        }
    }

    fn fetch(&mut self, fetch: &Fetch) {
        let known = &mut self.messages[fetch.sequence as usize - 1];
        if let Some(uid) = fetch.item("UID").and_then(Value::as_number) {
            let uid = u32::try_from(uid).expect("32 bits");
            assert!(known.0.is_none_or(|known| known == uid), "message {} is not {uid}", fetch.sequence);
            known.0 = Some(uid);
        }
        if let Some(flags) = fetch.item("FLAGS").and_then(Value::as_list) {
            let flags: BTreeSet<String> = flags.iter().filter_map(Value::as_atom).map(str::to_owned).collect();
            let unannounced = flags.iter().find(|flag| *flag != "\\Recent" && !self.flags.contains(flag));
            assert_eq!(unannounced, None, "FLAGS comes before a keyword is used");
            if flags.contains("\\Recent") {
                self.recent.extend(known.0);
            }
            known.1 = Some(flags.into_iter().filter(|flag| flag != "\\Recent").collect());
        }
        if let Some([modseq]) = fetch.item("MODSEQ").and_then(Value::as_list) {
            self.seen_modseq = self.seen_modseq.max(modseq.as_number().expect("a number"));
        }
    }
}

struct Session {
    client: Client,
    reader: Reader,
    believer: Believer,
    is_aware: bool,
}

impl Session {
    async fn open(scene: &Scene, extensions: &str) -> Session {
        let mut client = scene.session().await;
        client.ask(&format!("ENABLE {extensions}")).await;
        let is_aware = extensions.contains("STORE") || extensions.contains("QRESYNC");
        let mut session = Session { client, reader: Reader::new(), believer: Believer::default(), is_aware };
        session.run("SELECT Inbox").await;
        session
    }

    /// After `.SILENT` a client is not told the flags, unless they are not what it must expect.
    fn forget_silenced(&mut self, command: &str) {
        if let Some((number, _)) = command.strip_prefix("STORE ").and_then(|rest| rest.split_once(" +FLAGS.SILENT"))
            && let Some((_, flags)) = self.believer.messages.get_mut(number.parse::<usize>().expect("a number") - 1)
        {
            *flags = None;
        }
    }

    /// Runs a command; returns how it ended.
    async fn run(&mut self, command: &str) -> Condition {
        self.client.tag += 1;
        let tag = format!("t{}", self.client.tag);
        self.client.send(format!("{tag} {command}\r\n").as_bytes()).await;
        loop {
            while let Some(response) = self.reader.next_response().expect("responses follow the grammar") {
                let end = match &response {
                    Response::Status(status) if status.tag.as_deref() == Some(&tag) => Some(status.condition),
                    _ => None,
                };
                if self.is_aware
                    && let Response::Fetch(fetch) = &response
                {
                    let changed = fetch.item("FLAGS").is_some();
                    assert!(!changed || fetch.item("MODSEQ").is_some(), "MODSEQ goes with FLAGS: {fetch:?}");
                }
                self.believer.hear(response);
                if let Some(condition) = end {
                    self.believer.modseq = self.believer.seen_modseq;
                    return condition;
                }
            }
            let line = self.client.line().await;
            assert_ne!(line, "<closed>");
            self.reader.feed(format!("{line}\r\n").as_bytes());
        }
    }
}

#[derive(Debug, Clone)]
enum Step {
    Deliver,
    Command(usize, String),
}

fn step() -> impl Strategy<Value = Step> {
    let command = prop_oneof![
        Just("NOOP".to_owned()),
        (1u32..6, prop::sample::select(vec!["\\Deleted", "\\Seen", "$Junk", "blue", "\\Flagged red"]), any::<bool>())
            .prop_map(|(n, flags, silent)| format!(
                "STORE {n} +FLAGS{} ({flags})",
                if silent { ".SILENT" } else { "" }
            )),
        (1u32..12).prop_map(|uid| format!("UID STORE {uid} -FLAGS (\\Seen blue)")),
        Just("EXPUNGE".to_owned()),
        (1u32..12).prop_map(|uid| format!("UID EXPUNGE {uid}:*")),
        Just("FETCH 1:* FLAGS".to_owned()),
        Just("UID FETCH 1:* (UID FLAGS)".to_owned()),
        (1u32..6).prop_map(|n| format!("FETCH {n} BODY[TEXT]<0.1>")),
        Just("UID SEARCH RETURN (SAVE) SEEN".to_owned()),
        Just("MOVE $ Archive".to_owned()),
        (1u32..6).prop_map(|n| format!("COPY {n} Archive")),
        (1u32..6).prop_map(|n| format!("MOVE {n} Archive")),
    ];
    let command = (0usize..3, command).prop_map(|(who, command)| Step::Command(who, command));
    prop_oneof![1 => Just(Step::Deliver), 4 => command]
}

#[test]
fn every_client_ends_with_the_mailbox() {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("a runtime");
    let config =
        ProptestConfig { cases: 12, max_shrink_iters: 64, failure_persistence: None, ..ProptestConfig::default() };
    let mut runner = TestRunner::new(config);
    let steps = prop::collection::vec(step(), 10..40);
    let result = runner.run(&steps, |steps| {
        runtime.block_on(run(steps));
        Ok(())
    });
    result.unwrap_or_else(|error| panic!("{error}"));
}

async fn run(steps: Vec<Step>) {
    let scene = scene().await;
    scene.fill(3).await;
    let mut sessions = [
        Session::open(&scene, "CONDSTORE").await,
        Session::open(&scene, "QRESYNC").await,
        Session::open(&scene, "IMAP4rev2").await,
    ];
    for session in &mut sessions {
        // A QRESYNC client must know its UIDs to understand VANISHED.
        session.run("FETCH 1:* (UID FLAGS)").await;
    }
    for step in steps {
        match step {
            Step::Deliver => scene.fill(1).await,
            Step::Command(who, command) => {
                let session = &mut sessions[who];
                session.forget_silenced(&command);
                session.run(&command).await;
                if session.believer.messages.iter().any(|(uid, _)| uid.is_none()) {
                    session.run("FETCH 1:* (UID FLAGS)").await;
                }
            }
        }
    }
    let truth = scene.jane.read(|read| {
        let mailbox = read.mailbox_by_name("Inbox")?.expect("Inbox");
        Ok((read.message_states(mailbox.id)?, mailbox.modseq))
    });
    let (messages, highest) = truth.await.expect("readable");
    let mut recent = BTreeSet::new();
    for (who, mut session) in sessions.into_iter().enumerate() {
        for uid in &session.believer.recent {
            assert!(recent.insert(*uid), "UID {uid} is recent in one session only");
        }
        session.run("NOOP").await;
        session.run("FETCH 1:* UID").await;
        session.run("NOOP").await;
        let known = session.believer.messages.iter().map(|(uid, flags)| (uid.expect("fetched"), flags.clone()));
        let there = messages
            .iter()
            .map(|state| (state.uid.number(), state.flags.names().map(str::to_owned).collect::<BTreeSet<_>>()));
        for (known, there) in known.clone().zip(there.clone()) {
            assert_eq!(known.0, there.0, "session {who}");
            if let Some(flags) = known.1 {
                assert_eq!(flags, there.1, "session {who}, UID {}", there.0);
            }
        }
        assert_eq!(known.count(), there.count(), "session {who}");
        let highest = u64::try_from(highest.0).expect("not negative");
        assert!(session.believer.modseq <= highest, "nobody remembers what has not happened");
    }
    scene.check().await;
}
