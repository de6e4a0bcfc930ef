//! Threads as the store assigns them.

use std::collections::BTreeSet;

use jiff::{SignedDuration, Timestamp};
use mailstead_store::{Account, Detail, MailboxId, Store, ThreadId, UidSet};

use crate::letters::{mailbox, new_message};
use crate::support::{Place, on_both, staged};

struct Mail {
    store: Store,
    account: Account,
    inbox: MailboxId,
}

fn day(number: i64) -> Timestamp {
    "2026-01-01T12:00:00Z".parse::<Timestamp>().expect("a time") + SignedDuration::from_hours(24 * number)
}

impl Mail {
    async fn new(place: &Place) -> Mail {
        let (store, account) = place.with_account().await;
        let inbox = mailbox(&account, "INBOX").await.id;
        Mail { store, account, inbox }
    }

    async fn append(&self, header: &str, received_at: Timestamp) {
        let mut new = new_message(self.inbox, &staged(&self.store, &format!("{header}\r\nhello\r\n")).await);
        new.received_at = received_at;
        self.account.write(move |write| write.append(&new)).await.expect("stored");
    }

    /// For each message, the position of the first one in its thread.
    async fn threads(&self) -> Vec<usize> {
        let inbox = self.inbox;
        let rows =
            self.account.read(move |read| read.messages(inbox, &UidSet::all(), Detail::Row, 100)).await.expect("read");
        let threads: Vec<ThreadId> = rows.iter().map(|row| row.thread).collect();
        threads.iter().map(|thread| threads.iter().position(|other| other == thread).expect("itself")).collect()
    }
}

fn message(id: &str, references: &str, subject: &str) -> String {
    let references = if references.is_empty() { String::new() } else { format!("References: {references}\r\n") };
    format!("Message-ID: <{id}@x>\r\n{references}Subject: {subject}\r\n")
}

on_both! {
    async fn references_and_a_missing_link_that_arrives(place: &Place) {
        let mail = Mail::new(place).await;
        mail.append(&message("a", "", "[list] Lunch"), day(0)).await;
        mail.append(&message("c", "<b@x>", "Re: lunch"), day(1)).await;
        mail.append(&message("d", "<a@x>", "Dinner"), day(1)).await;
        assert_eq!(mail.threads().await, [0, 1, 2]);
        let before = mail.account.read(|read| read.account_modseq()).await.expect("read");
        mail.append(&message("b", "<a@x>", "RE: Lunch"), day(1)).await;
        assert_eq!(mail.threads().await, [0, 0, 2, 0]);
        // The message that changed its thread is in the change log.
        let inbox = mail.inbox;
        let changes = mail.account.read(move |read| read.changes_since(inbox, before)).await.expect("read");
        let changed: BTreeSet<u32> = changes.updated.iter().map(|state| state.uid.number()).collect();
        assert_eq!(changed, BTreeSet::from([2, 4]));
        place.check_and_close(mail.store).await;
    }

    async fn a_response_without_references_goes_by_subject_and_time(place: &Place) {
        let mail = Mail::new(place).await;
        let reply = "Subject: Re: lunch\r\n";
        mail.append(&message("a", "", "Lunch"), day(0)).await;
        mail.append(&message("b", "", "lunch"), day(20)).await;
        mail.append(reply, day(21)).await;
        mail.append(reply, day(80)).await;
        mail.append("Subject: Re: \r\n", day(21)).await;
        assert_eq!(mail.threads().await, [0, 1, 1, 3, 4]);
        // The last one waited; the message it answers comes a little later.
        mail.append(&message("c", "", "Lunch"), day(80) + SignedDuration::from_hours(2)).await;
        assert_eq!(mail.threads().await, [0, 1, 1, 3, 4, 3]);
        place.check_and_close(mail.store).await;
    }

    async fn times_at_the_ends_are_no_harm(place: &Place) {
        let mail = Mail::new(place).await;
        for at in ["0000-01-01T00:00:00Z", "9999-12-30T22:00:00Z"] {
            mail.append("Subject: Re: lunch\r\n", at.parse().expect("a time")).await;
        }
        assert_eq!(mail.threads().await, [0, 1]);
        place.check_and_close(mail.store).await;
    }

    async fn a_thread_ends_with_its_last_message(place: &Place) {
        let mail = Mail::new(place).await;
        mail.append(&message("a", "", "Lunch"), day(0)).await;
        let inbox = mail.inbox;
        mail.account.write(move |write| write.remove_messages(inbox, &UidSet::all())).await.expect("removed");
        mail.append(&message("b", "<a@x>", "Lunch"), day(0)).await;
        mail.append(&message("a", "", "Lunch"), day(0)).await;
        assert_eq!(mail.threads().await, [0, 0]);
        place.check_and_close(mail.store).await;
    }
}
