//! `store check`: silent after everything the store does, loud after somebody else did something.

use std::fs;
use std::path::PathBuf;

use mailstead_store::{
    Account, AccountId, Area, CheckReport, Depth, FlagChange, Flags, Orphans, Store, SystemFlags, UidSet,
};

use crate::letters::{mailbox, new_message};
use crate::support::{Place, on_both, staged};

/// A store and an account with mail that was copied, moved, marked and removed; one body is a file.
async fn lived_in(place: &Place) -> (Store, Account) {
    let (store, account) = place.with_account().await;
    let (inbox, archive) = (mailbox(&account, "INBOX").await.id, mailbox(&account, "Archive").await.id);
    for (id, body) in [("a", "one".to_owned()), ("b", "two".to_owned()), ("c", "long ".repeat(30_000))] {
        let text = format!("Message-ID: <{id}@x>\r\nReferences: <a@x>\r\nSubject: Re: lunch\r\n\r\n{body}\r\n");
        let mut new = new_message(inbox, &staged(&store, &text).await);
        new.prefix = b"Received: by us\r\n".to_vec();
        account.write(move |write| write.append(&new)).await.expect("stored");
    }
    let change = move |write: &mut mailstead_store::Write<'_>| {
        write.copy_messages(inbox, &UidSet::from_ranges([1..=1, 3..=3]), archive)?;
        write.set_flags(
            inbox,
            &UidSet::from_ranges([1..=2]),
            FlagChange::Add,
            &Flags::from(SystemFlags::SEEN),
            None,
        )?;
        write.remove_messages(inbox, &UidSet::from_ranges([1..=1]))?;
        write.move_messages(inbox, &UidSet::from_ranges([2..=2]), archive)
    };
    account.write(change).await.expect("changed");
    (store, account)
}

async fn check(store: &Store) -> CheckReport {
    store.check(Depth::Contents, Orphans::Report).await.expect("checked")
}

fn areas(report: &CheckReport) -> Vec<Area> {
    let mut areas: Vec<Area> = report.problems.iter().map(|problem| problem.area).collect();
    areas.sort();
    areas.dedup();
    areas
}

fn blob_directory(place: &Place, account: AccountId) -> PathBuf {
    place.directory.path().join(format!("accounts/{account}/blobs"))
}

on_both! {
    async fn all_agrees_after_ordinary_use(place: &Place) {
        let (store, _) = lived_in(place).await;
        let report = check(&store).await;
        assert!(report.is_clean() && report.orphans.is_empty(), "{report}");
        assert_eq!((report.accounts, report.messages), (1, 4));
        assert_eq!(report.to_string(), "1 account, 4 messages, no problems");
        store.close().await;
    }

    async fn each_kind_of_damage_is_told(place: &Place) {
        let (store, account) = lived_in(place).await;
        let id = account.id();
        store.close().await;
        drop((store, account));
        for (damage, repair, area) in [
            ("update mailboxes set total = total + 1", "update mailboxes set total = total - 1", Area::Counts),
            ("update mailboxes set size = size + 1", "update mailboxes set size = size - 1", Area::Counts),
            ("update mailboxes set uid_next = uid_next - 3", "update mailboxes set uid_next = uid_next + 3", Area::Uids),
            ("update messages set modseq = modseq + 1000", "update messages set modseq = modseq - 1000", Area::Modseqs),
            ("update account_state set modseq = modseq - 1 where account_id > 0",
                "update account_state set modseq = modseq + 1 where account_id > 0", Area::Modseqs),
            ("update account_state set used = used + 1 where account_id > 0",
                "update account_state set used = used - 1 where account_id > 0", Area::Quota),
            ("update message_content set preview = preview || 'x'",
                "update message_content set preview = substr(preview, 1, length(preview) - 1)", Area::Structure),
            ("update messages set thread_id = thread_id + 1000",
                "update messages set thread_id = thread_id - 1000", Area::Threads),
            ("delete from search_documents where id > document_id", "", Area::Index),
            ("update blobs set refs = refs + 1", "update blobs set refs = refs - 1", Area::Bodies),
            ("update blobs set size = size + 1 where file is null", "update blobs set size = size - 1 where file is null", Area::Bodies),
            ("delete from message_content", "", Area::Rows),
        ] {
            place.meddle(Some(id), damage).await;
            let store = place.open().await;
            let report = check(&store).await;
            assert!(areas(&report).contains(&area), "{damage}: {report}");
            store.close().await;
            drop(store);
            place.meddle(Some(id), repair).await;
        }
    }

    async fn missing_files_are_problems_and_orphans_are_not(place: &Place) {
        let (store, account) = lived_in(place).await;
        let id = account.id();
        let shelf = fs::read_dir(blob_directory(place, id)).expect("a directory").next().expect("a shelf").expect("read").path();
        let file = fs::read_dir(&shelf).expect("a directory").next().expect("a file").expect("read").path();
        let start = shelf.file_name().expect("a name").to_string_lossy().into_owned();
        let orphan = shelf.join(format!("{start}{}", "f".repeat(30)));
        fs::copy(&file, &orphan).expect("copied");
        let report = check(&store).await;
        assert!(report.is_clean(), "{report}");
        assert_eq!(report.orphans.len(), 1);
        assert!(orphan.exists());
        let report = store.check(Depth::Rows, Orphans::Remove).await.expect("checked");
        assert_eq!(report.orphans.len(), 1);
        assert!(!orphan.exists() && file.exists());
        assert!(check(&store).await.orphans.is_empty());
        fs::write(&file, "short").expect("written");
        assert_eq!(areas(&store.check(Depth::Rows, Orphans::Report).await.expect("checked")), [Area::Bodies]);
        fs::remove_file(&file).expect("removed");
        assert_eq!(areas(&check(&store).await), [Area::Bodies]);
        store.close().await;
    }
}
