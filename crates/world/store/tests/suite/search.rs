//! SEARCH TEXT and BODY against the definition: a substring of the decoded text, without regard to case.

use mailstead_store::{Account, FlagChange, Flags, MailboxId, Store, SystemFlags, TextField, Uid, UidSet};
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;

use crate::letters::{mailbox, new_message, numbers};
use crate::support::{Place, on_both, staged};

/// An account with messages in its Inbox.
struct Mail {
    store: Store,
    account: Account,
    inbox: MailboxId,
}

impl Mail {
    async fn new(place: &Place) -> Mail {
        let (store, account) = place.with_account().await;
        let inbox = mailbox(&account, "INBOX").await.id;
        Mail { store, account, inbox }
    }

    async fn append(&self, text: &str) -> Uid {
        let mut new = new_message(self.inbox, &staged(&self.store, text).await);
        new.prefix = b"Received: from relay-7.example\r\n".to_vec();
        self.account.write(move |write| write.append(&new)).await.expect("stored").uid
    }

    async fn search(&self, needle: &str, field: TextField) -> Vec<u32> {
        self.search_in(self.inbox, needle, field, None).await
    }

    async fn search_in(&self, mailbox: MailboxId, needle: &str, field: TextField, within: Option<UidSet>) -> Vec<u32> {
        let needle = needle.to_owned();
        let found = self.account.read(move |read| read.search_text(mailbox, &needle, field, within.as_ref())).await;
        numbers(found.expect("searched"))
    }

    async fn text(&self, needle: &str) -> Vec<u32> {
        self.search(needle, TextField::Text).await
    }

    async fn body(&self, needle: &str) -> Vec<u32> {
        self.search(needle, TextField::Body).await
    }
}

const LETTER: &str = "From: Zo\u{eb} <zoe@sea.example>\r\nSubject: =?utf-8?q?Caf=C3=A9_tomorrow?=\r\n\
    Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n\
    Let us meet at Stra=C3=9Fe 12, before half past six. Invoice no. A-1234=\r\n5 attached.\r\n";
const NOTE: &str = "From: bob@hill.example\r\nSubject: Note\r\n\r\nThe invoices are late. Unbelievable!\r\n";

on_both! {
    async fn needles_of_every_shape(place: &Place) {
        let mail = Mail::new(place).await;
        assert_eq!([mail.append(LETTER).await.number(), mail.append(NOTE).await.number()], [1, 2]);
        for (needle, text, body) in [
            ("", vec![1, 2], vec![1, 2]),
            ("invoice", vec![1, 2], vec![1, 2]),
            ("INVOICES", vec![2], vec![2]),
            ("lieva", vec![2], vec![2]),
            ("café", vec![1], vec![]),
            ("CAFE\u{301} TOM", vec![1], vec![]),
            ("STRASSE", vec![1], vec![1]),
            ("a-12345 att", vec![1], vec![1]),
            ("half past", vec![1], vec![1]),
            ("past half", vec![], vec![]),
            ("alf past s", vec![1], vec![1]),
            ("x!", vec![], vec![]),
            ("e!", vec![2], vec![2]),
            ("! ", vec![], vec![]),
            (". ", vec![1, 2], vec![1, 2]),
            ("zoe@sea", vec![1], vec![]),
            ("zo\u{eb}", vec![1], vec![]),
            ("relay-7", vec![1, 2], vec![]),
            ("subject: note", vec![2], vec![]),
            ("no", vec![1, 2], vec![1]),
            ("6", vec![], vec![]),
            ("k", vec![], vec![]),
            ("nowhere to be found", vec![], vec![]),
        ] {
            assert_eq!(mail.text(needle).await, text, "TEXT {needle:?}");
            assert_eq!(mail.body(needle).await, body, "BODY {needle:?}");
        }
        let first = UidSet::from(Uid::FIRST);
        assert_eq!(mail.search_in(mail.inbox, "invoice", TextField::Text, Some(first)).await, [1]);
        place.check_and_close(mail.store).await;
    }

    async fn the_index_follows_copies_moves_and_expunges(place: &Place) {
        let mail = Mail::new(place).await;
        mail.append(LETTER).await;
        mail.append(NOTE).await;
        let (inbox, all) = (mail.inbox, UidSet::all());
        let archive = mailbox(&mail.account, "Archive").await.id;
        let set = all.clone();
        mail.account.write(move |write| write.copy_messages(inbox, &set, archive)).await.expect("copied");
        assert_eq!(mail.search_in(archive, "invoice", TextField::Text, None).await, [1, 2]);
        let expunge = move |write: &mut mailstead_store::Write<'_>| {
            write.set_flags(inbox, &UidSet::all(), FlagChange::Add, &Flags::from(SystemFlags::DELETED), None)?;
            write.expunge(inbox, None)
        };
        mail.account.write(expunge).await.expect("expunged");
        assert_eq!(mail.text("invoice").await, [0; 0]);
        assert_eq!(mail.search_in(archive, "invoice", TextField::Text, None).await, [1, 2]);
        let first = UidSet::from(Uid::FIRST);
        mail.account.write(move |write| write.move_messages(archive, &first, inbox)).await.expect("moved");
        assert_eq!(mail.text("invoice").await, [3]);
        assert_eq!(mail.search_in(archive, "invoice", TextField::Text, None).await, [2]);
        place.check_and_close(mail.store).await;
    }

    async fn what_exceeds_the_index_is_found_all_the_same(place: &Place) {
        let mail = Mail::new(place).await;
        let words: Vec<String> = (0..30_000).map(|number| format!("w{number}")).collect();
        let long = format!("Subject: many\r\n\r\n{}\r\nlastword {}z\r\n", words.join("\r\n"), "long".repeat(200));
        mail.append(&long).await;
        mail.append(NOTE).await;
        assert_eq!(mail.body("lastword").await, [1]);
        assert_eq!(mail.body("w29999").await, [1]);
        assert_eq!(mail.body(&format!("{}z", "long".repeat(50))).await, [1]);
        assert_eq!(mail.body("zzz").await, [0; 0]);
        place.check_and_close(mail.store).await;
    }

    /// What the index says is what reading every text says, for texts and needles by chance.
    async fn equals_a_scan(place: &Place) {
        let mail = Mail::new(place).await;
        let mut runner = TestRunner::deterministic();
        let mut draw = |pattern: &str| {
            let strategy = proptest::string::string_regex(pattern).expect("a pattern");
            strategy.new_tree(&mut runner).expect("a value").current()
        };
        let bodies: Vec<String> = (0..40).map(|_| draw("[abÄß. -]{0,60}")).collect();
        for body in &bodies {
            mail.append(&format!("Content-Type: text/plain; charset=utf-8\r\n\r\n{body}\r\n")).await;
        }
        for _ in 0..60 {
            let needle = draw("[abÄßS. -]{0,5}");
            let matches = |body: &String| mailstead_store::fold(body).contains(&mailstead_store::fold(&needle));
            let expected: Vec<u32> = (1..).zip(&bodies).filter(|(_, body)| matches(body)).map(|(uid, _)| uid).collect();
            assert_eq!(mail.body(&needle).await, expected, "{needle:?}");
            for range in [3..=9, 3..=38] {
                let within = UidSet::from_ranges([range.clone()]);
                let found = mail.search_in(mail.inbox, &needle, TextField::Body, Some(within)).await;
                let expected: Vec<u32> = expected.iter().copied().filter(|uid| range.contains(uid)).collect();
                assert_eq!(found, expected, "{needle:?} in {range:?}");
            }
        }
        place.check_and_close(mail.store).await;
    }
}
