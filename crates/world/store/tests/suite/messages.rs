//! Storing, flags, copying, moving, expunging and reading messages.

use mailstead_store::{
    Delivered, DeliveryId, Detail, Error, Facts, FlagChange, Flags, ModSeq, SystemFlags, Uid, UidSet,
};

use crate::letters::{mailbox, new_message, numbers, uid};
use crate::support::{on_both, staged};

const LETTER: &str =
    "From: a@example.org\r\nTo: b@example.org\r\nSubject: Tea\r\nMessage-ID: <1@example.org>\r\n\r\nWhen?\r\n";

on_both! {
    async fn what_is_appended_can_be_read(place: &Place) {
        let (store, account) = place.with_account().await;
        let inbox = mailbox(&account, "INBOX").await;
        let body = staged(&store, LETTER).await;
        let mut message = new_message(inbox.id, &body);
        message.prefix = b"Return-Path: <a@example.org>\r\n".to_vec();
        message.flags = Flags::from_names(["\\Flagged", "Urgent"]);
        message.facts = vec![Facts { kind: "evidence".to_owned(), version: 3, payload: vec![0, 255], reference: None }];
        let appended = account.write(move |write| write.append(&message)).await.expect("stored");
        assert_eq!(appended.uid, Uid::FIRST);
        assert_eq!(appended.uid_validity, inbox.uid_validity);

        let now = mailbox(&account, "Inbox").await;
        assert_eq!((now.counts.total, now.counts.unseen, now.counts.deleted), (1, 1, 0));
        assert_eq!(now.counts.size, 30 + LETTER.len() as u64);
        assert_eq!((now.uid_next, now.modseq), (uid(2), appended.modseq));
        assert_eq!(now.keywords.iter().collect::<Vec<_>>(), ["urgent"]);

        let rows = account.read(move |read| read.messages(inbox.id, &UidSet::all(), Detail::Content, 10)).await;
        let row = rows.expect("read").pop().expect("one message");
        let content = row.content.expect("asked for");
        assert_eq!(content.preview, "When?");
        let structure = content.structure().expect("decodes");
        assert_eq!(structure.size, row.size);
        assert_eq!(structure.envelope().subject.as_deref(), Some("Tea"));
        assert_eq!(row.state.flags, Flags::from_names(["urgent", "\\Flagged"]));

        let reader = account.open_message(appended.id).await.expect("opens");
        let text = reader.read(structure.root.body.clone()).await.expect("reads");
        assert_eq!(text, b"When?\r\n");
        let all = reader.read(0..u64::MAX).await.expect("reads");
        assert!(all.starts_with(b"Return-Path: <a@example.org>\r\nFrom: a@"));
        assert_eq!(all.len() as u64, reader.size());
        let facts = account.read(move |read| read.facts(appended.id, "evidence")).await.expect("read");
        assert_eq!(facts.map(|facts| (facts.version, facts.payload)), Some((3, vec![0, 255])));
        place.check_and_close(store).await;
    }

    async fn a_large_body_is_one_file_for_all_recipients_of_an_account(place: &Place) {
        let (store, account) = place.with_account().await;
        let other = store.create_account(mailstead_store::NewAccount::named("other")).await.expect("created");
        let large = format!("{LETTER}{}", "0123456789abcdef\r\n".repeat(20_000));
        let body = staged(&store, &large).await;
        assert_eq!(place.spooled(), 1);
        for account in [&account, &other, &other] {
            let inbox = mailbox(account, "Inbox").await;
            let message = new_message(inbox.id, &body);
            account.write(move |write| write.append(&message)).await.expect("stored");
        }
        drop(body);
        assert_eq!(place.spooled(), 0);
        assert_eq!((place.blob_files(&account), place.blob_files(&other)), (1, 1));

        let inbox = mailbox(&other, "Inbox").await;
        let states = other.read(move |read| read.message_states(inbox.id)).await.expect("read");
        let reader = other.open_message(states[1].id).await.expect("opens");
        assert_eq!(reader.size(), large.len() as u64);
        // Expunging leaves what is open readable, and the file to the other copy.
        other.write(move |write| write.remove_messages(inbox.id, &states_set(&[2]))).await.expect("removed");
        assert_eq!(reader.read(0..6).await.expect("reads"), b"From: ");
        assert_eq!(place.blob_files(&other), 1);
        other.write(move |write| write.remove_messages(inbox.id, &UidSet::all())).await.expect("removed");
        assert_eq!(place.blob_files(&other), 0);
        assert_eq!(reader.read(large.len() as u64 - 2..u64::MAX).await.expect("reads"), b"\r\n");
        place.check_and_close(store).await;
    }

    async fn malformed_mail_is_stored_as_it_is(place: &Place) {
        let (store, account) = place.with_account().await;
        let inbox = mailbox(&account, "Inbox").await.id;
        let odd = "Subject: Re: n\0ul\r\nMessage-ID: <a\0@b>\r\nReferences: <c\0@d>\r\nnot a field\r\n\r\nw\0rd \u{1}\r\n";
        let message = new_message(inbox, &staged(&store, odd).await);
        let appended = account.write(move |write| write.append(&message)).await.expect("stored");
        let long = (0..9000).map(|number| char::from(b'a' + u8::try_from(number * 7 % 26).expect("small"))).collect::<String>();
        for octets in [String::new(), format!("Message-ID: <{long}@d>\r\nSubject: {long}\r\n\r\n{long}")] {
            let message = new_message(inbox, &staged(&store, &octets).await);
            account.write(move |write| write.append(&message)).await.expect("stored");
        }
        let reader = account.open_message(appended.id).await.expect("opens");
        assert_eq!(reader.read(0..u64::MAX).await.expect("reads"), odd.as_bytes());
        place.check_and_close(store).await;
    }

    async fn a_delivery_is_done_once(place: &Place) {
        let (store, account) = place.with_account().await;
        let inbox = mailbox(&account, "Inbox").await;
        let message = new_message(inbox.id, &staged(&store, LETTER).await);
        let delivery = DeliveryId("q1-r1".to_owned());
        let deliver = move |write: &mut mailstead_store::Write<'_>| write.deliver(&delivery, &message);
        let first = account.write(deliver.clone()).await.expect("stored");
        assert!(matches!(first, Delivered::New(_)));
        assert_eq!(account.write(deliver).await.expect("looked up"), Delivered::Duplicate);
        assert_eq!(mailbox(&account, "Inbox").await.counts.total, 1);
        place.check_and_close(store).await;
    }

    async fn store_changes_flags_and_counts(place: &Place) {
        let (store, account) = place.with_account().await;
        let inbox = mailbox(&account, "Inbox").await;
        place.fill(&store, &account, inbox.id, 4).await;
        let before = mailbox(&account, "Inbox").await.modseq;

        let seen = Flags::from(SystemFlags::SEEN);
        let change = move |set: UidSet, change, flags: Flags, since| {
            let account = account.clone();
            async move {
                account.write(move |write| write.set_flags(inbox.id, &set, change, &flags, since)).await.expect("stored")
            }
        };
        let outcome = change(UidSet::from_ranges([2..=3, 90..=99]), FlagChange::Add, seen.clone(), None).await;
        assert_eq!(numbers(outcome.changed.iter().map(|state| state.uid)), [2, 3]);
        assert!(outcome.changed.iter().all(|state| state.modseq > before));

        // Again: nothing changes, no modseq is taken.
        let again = change(UidSet::from_ranges([2..=3]), FlagChange::Add, seen, None).await;
        assert_eq!(again.changed, []);
        let account = store.account("alice").await.expect("looked up").expect("there");
        let now = mailbox(&account, "Inbox").await;
        assert_eq!((now.counts.unseen, now.modseq), (2, outcome.changed[0].modseq));

        // UNCHANGEDSINCE spares 2 and 3.
        let deleted = Flags::from_names(["\\Deleted", "$Junk", "Later"]);
        let outcome = change(UidSet::all(), FlagChange::Replace, deleted, Some(before)).await;
        assert_eq!(numbers(outcome.changed.iter().map(|state| state.uid)), [1, 4]);
        assert_eq!(numbers(outcome.failed), [2, 3]);
        assert_eq!(outcome.new_keywords, ["later"]);
        let outcome = change(states_set(&[4]), FlagChange::Remove, Flags::from_names(["later"]), None).await;
        assert_eq!(outcome.changed[0].flags, Flags::from_names(["$Junk", "\\Deleted"]));
        assert_eq!(mailbox(&account, "Inbox").await.counts.deleted, 2);
        place.check_and_close(store).await;
    }

    async fn expunge_leaves_tombstones(place: &Place) {
        let (store, account) = place.with_account().await;
        let inbox = mailbox(&account, "Inbox").await.id;
        place.fill(&store, &account, inbox, 5).await;
        let before = mailbox(&account, "Inbox").await.modseq;
        let gone = account
            .write(move |write| {
                write.set_flags(inbox, &states_set(&[1, 3, 5]), FlagChange::Add, &SystemFlags::DELETED.into(), None)?;
                write.expunge(inbox, Some(&UidSet::from_ranges([2..=5])))
            })
            .await
            .expect("expunged");
        assert_eq!(numbers(gone), [3, 5]);
        let changes = account.read(move |read| read.changes_since(inbox, before)).await.expect("read");
        assert_eq!(numbers(changes.vanished), [3, 5]);
        assert_eq!(numbers(changes.updated.iter().map(|state| state.uid)), [1]);
        let rest = account.write(move |write| write.expunge(inbox, None)).await.expect("expunged");
        assert_eq!(numbers(rest), [1]);
        let usage = account.read(|read| read.usage()).await.expect("read");
        assert_eq!(usage.used, mailbox(&account, "Inbox").await.counts.size);
        place.check_and_close(store).await;
    }

    async fn copies_and_moves(place: &Place) {
        let (store, account) = place.with_account().await;
        let (inbox, archive) = (mailbox(&account, "Inbox").await, mailbox(&account, "Archive").await);
        place.fill(&store, &account, inbox.id, 3).await;
        let old = account.read(move |read| read.message_states(inbox.id)).await.expect("read");
        let before = account.read(|read| read.account_modseq()).await.expect("read");

        let copied = account.write(move |write| write.copy_messages(inbox.id, &states_set(&[1, 3]), archive.id)).await;
        assert_eq!(copied.expect("copied"), [(uid(1), uid(1)), (uid(3), uid(2))]);
        let moved = account.write(move |write| write.move_messages(inbox.id, &states_set(&[2, 3]), archive.id)).await;
        assert_eq!(moved.expect("moved"), [(uid(2), uid(3)), (uid(3), uid(4))]);

        let new = account.read(move |read| read.message_states(archive.id)).await.expect("read");
        assert_eq!(new[2].id, old[1].id, "a MOVE keeps the number");
        assert!(old.iter().all(|state| state.id != new[0].id), "a COPY has another");
        let changes = account.read(move |read| read.message_changes(before)).await.expect("read");
        assert_eq!(changes.created, [new[0].id, new[1].id]);
        assert_eq!(changes.updated, [old[1].id, old[2].id]);
        assert_eq!(changes.destroyed, []);
        let left = account.read(move |read| read.changes_since(inbox.id, before)).await.expect("read");
        assert_eq!(numbers(left.vanished), [2, 3]);

        let same = account.write(move |write| write.copy_messages(inbox.id, &UidSet::all(), inbox.id)).await;
        assert!(matches!(same, Err(Error::SameMailbox)));
        let nowhere = mailstead_store::MailboxId(i64::MAX);
        let lost = account.write(move |write| write.move_messages(inbox.id, &UidSet::all(), nowhere)).await;
        assert!(matches!(lost, Err(Error::NoMailbox)));
        place.check_and_close(store).await;
    }

    async fn quota_refuses_and_undoes(place: &Place) {
        let (store, account) = place.with_account().await;
        let inbox = mailbox(&account, "Inbox").await.id;
        let message = new_message(inbox, &staged(&store, LETTER).await);
        let size = LETTER.len() as u64;
        let twice = account
            .write(move |write| {
                write.set_quota(Some(size * 2 - 1));
                Ok(())
            })
            .await;
        twice.expect("set");
        let append = move |write: &mut mailstead_store::Write<'_>| write.append(&message);
        account.write(append.clone()).await.expect("fits");
        assert!(matches!(account.write(append).await, Err(Error::OverQuota)));
        let copied = account.write(move |write| {
            let sent = write.mailbox_by_name("Sent")?.expect("there");
            write.copy_messages(inbox, &UidSet::all(), sent.id)
        });
        assert!(matches!(copied.await, Err(Error::OverQuota)));
        assert_eq!(mailbox(&account, "Inbox").await.counts.total, 1);
        place.check_and_close(store).await;
    }

    async fn recent_is_told_once(place: &Place) {
        let (store, account) = place.with_account().await;
        let inbox = mailbox(&account, "Inbox").await.id;
        let claim = || account.write(move |write| write.claim_recent(inbox));
        assert_eq!(claim().await.expect("claimed"), uid(1));
        place.fill(&store, &account, inbox, 2).await;
        assert_eq!(claim().await.expect("claimed"), uid(1));
        assert_eq!(claim().await.expect("claimed"), uid(3));
        place.check_and_close(store).await;
    }

    async fn a_large_set_is_read_in_batches(place: &Place) {
        let (store, account) = place.with_account().await;
        let inbox = mailbox(&account, "Inbox").await.id;
        place.fill(&store, &account, inbox, 10).await;
        let batches = account.read(move |read| {
            let (mut batches, mut set) = (Vec::new(), UidSet::from_ranges([2..=3, 5..=9]));
            loop {
                let rows = read.messages(inbox, &set, Detail::Row, 3)?;
                let Some(last) = rows.last() else { return Ok(batches) };
                set = set.after(last.state.uid);
                batches.push(numbers(rows.iter().map(|row| row.state.uid)));
            }
        });
        assert_eq!(batches.await.expect("read"), [vec![2, 3, 5], vec![6, 7, 8], vec![9]]);
        let (place_of, row) = account
            .read(move |read| {
                let id = read.message_states(inbox)?[4].id;
                read.message(id, Detail::Row)
            })
            .await
            .expect("read");
        assert_eq!((place_of, row.state.uid), (inbox, uid(5)));
        assert!(row.state.modseq > ModSeq(0));
        place.check_and_close(store).await;
    }
}

fn states_set(uids: &[u32]) -> UidSet {
    uids.iter().copied().map(uid).collect()
}
