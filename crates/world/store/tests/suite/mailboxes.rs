//! Names, roles, subscriptions and what the change log says of them.

use mailstead_store::{Account, Error, Mailbox, Result, SpecialUse, Write};

use crate::letters::mailbox;
use crate::support::on_both;

async fn names(account: &Account) -> Vec<String> {
    let all = account.read(|read| read.mailboxes()).await.expect("read");
    all.into_iter().map(|mailbox| mailbox.name).collect()
}

async fn create(account: &Account, name: &'static str) -> Result<Mailbox> {
    account.write(move |write| write.create_mailbox(name, None)).await
}

async fn rename(account: &Account, from: &'static str, to: &'static str) -> Result<Mailbox> {
    account
        .write(move |write: &mut Write<'_>| {
            let id = write.mailbox_by_name(from)?.ok_or(Error::NoMailbox)?.id;
            write.rename_mailbox(id, to)
        })
        .await
}

async fn delete(account: &Account, name: &'static str) -> Result<()> {
    let id = mailbox(account, name).await.id;
    account.write(move |write| write.delete_mailbox(id)).await
}

on_both! {
    async fn parents_are_created_and_subscribed(place: &Place) {
        let (store, account) = place.with_account().await;
        assert_eq!(names(&account).await, ["Archive", "Drafts", "Inbox", "Junk", "Sent", "Trash"]);
        create(&account, "iNBOX/Lists/rust").await.expect("created");
        assert_eq!(names(&account).await[2..5], ["Inbox", "Inbox/Lists", "Inbox/Lists/rust"]);
        let subscribed = account.read(|read| read.subscriptions()).await.expect("read");
        assert_eq!(subscribed, names(&account).await);
        assert!(matches!(create(&account, "Inbox/Lists").await, Err(Error::MailboxExists)));
        assert!(matches!(create(&account, "inbox").await, Err(Error::Inbox)));
        place.check_and_close(store).await;
    }

    async fn odd_names_are_refused(place: &Place) {
        let (store, account) = place.with_account().await;
        let odd = ["", "/a", "a/", "a//b", "a/../b", ".", "#news", "a\tb", "a\u{2028}b", "e\u{301}", "x\u{7f}"];
        for name in odd {
            assert!(matches!(create(&account, name).await, Err(Error::MailboxName(_))), "{name:?}");
        }
        for name in ["a*%&b", "\u{e9}", "#a".trim_start_matches('#'), "...", "Entw\u{fc}rfe/\u{65e5}\u{672c}"] {
            create(&account, name).await.expect(name);
        }
        place.check_and_close(store).await;
    }

    async fn rename_takes_the_children_along(place: &Place) {
        let (store, account) = place.with_account().await;
        let deep = create(&account, "a/b/c").await.expect("created");
        create(&account, "ab").await.expect("created");
        rename(&account, "a", "x/y").await.expect("renamed");
        assert_eq!(names(&account).await[6..], ["ab", "x", "x/y", "x/y/b", "x/y/b/c"]);
        assert_eq!(mailbox(&account, "x/y/b/c").await.id, deep.id);
        // Into itself: what was there goes below.
        rename(&account, "x", "x/y").await.expect("renamed");
        assert_eq!(names(&account).await[7..], ["x", "x/y", "x/y/y", "x/y/y/b", "x/y/y/b/c"]);
        assert!(matches!(rename(&account, "ab", "x").await, Err(Error::MailboxExists)));
        assert!(matches!(rename(&account, "ab", "Inbox").await, Err(Error::MailboxExists)));
        // Subscriptions stay with the names.
        let subscribed = account.read(|read| read.subscriptions()).await.expect("read");
        assert!(subscribed.contains(&"a/b/c".to_owned()));
        place.check_and_close(store).await;
    }

    async fn renaming_inbox_moves_its_messages(place: &Place) {
        let (store, account) = place.with_account().await;
        let inbox = mailbox(&account, "Inbox").await.id;
        place.fill(&store, &account, inbox, 3).await;
        create(&account, "Inbox/child").await.expect("created");
        let new = rename(&account, "INBOX", "Old").await.expect("renamed");
        assert_eq!(new.counts.total, 3);
        let inbox = mailbox(&account, "Inbox").await;
        assert_eq!((inbox.counts.total, inbox.uid_next.number()), (0, 4));
        assert!(names(&account).await.contains(&"Inbox/child".to_owned()));
        place.check_and_close(store).await;
    }

    async fn delete_asks_for_the_children_first(place: &Place) {
        let (store, account) = place.with_account().await;
        let leaf = create(&account, "p/q").await.expect("created");
        place.fill(&store, &account, leaf.id, 2).await;
        let before = account.read(|read| read.account_modseq()).await.expect("read");
        let parent = mailbox(&account, "p").await.id;
        assert!(matches!(delete(&account, "p").await, Err(Error::HasChildren)));
        assert!(matches!(delete(&account, "Inbox").await, Err(Error::Inbox)));
        delete(&account, "p/q").await.expect("deleted");
        delete(&account, "p").await.expect("deleted");
        let changes = account.read(move |read| read.mailbox_changes(before)).await.expect("read");
        assert_eq!(changes.destroyed, [parent, leaf.id]);
        let gone = account.read(move |read| read.message_changes(before)).await.expect("read").destroyed;
        assert_eq!(gone.len(), 2);
        // A new mailbox of an old name is another one.
        let again = create(&account, "p/q").await.expect("created");
        assert!(again.uid_validity > leaf.uid_validity);
        place.check_and_close(store).await;
    }

    async fn a_role_has_one_mailbox(place: &Place) {
        let (store, account) = place.with_account().await;
        let sent = mailbox(&account, "Sent").await;
        assert_eq!(sent.special_use, Some(SpecialUse::Sent));
        let new = account.write(|write| write.create_mailbox("Gesendet", Some(SpecialUse::Sent))).await;
        assert_eq!(new.expect("created").special_use, Some(SpecialUse::Sent));
        assert_eq!(mailbox(&account, "Sent").await.special_use, None);
        let by_use = account.read(|read| read.mailbox_by_use(SpecialUse::Sent)).await.expect("read");
        assert_eq!(by_use.map(|mailbox| mailbox.name).as_deref(), Some("Gesendet"));
        account.write(move |write| write.set_special_use(sent.id, Some(SpecialUse::Archive))).await.expect("set");
        assert_eq!(mailbox(&account, "Archive").await.special_use, None);
        place.check_and_close(store).await;
    }

    async fn subscriptions_need_no_mailbox(place: &Place) {
        let (store, account) = place.with_account().await;
        account.write(|write| write.subscribe("not/there")).await.expect("subscribed");
        account.write(|write| write.unsubscribe("Trash")).await.expect("unsubscribed");
        account.write(|write| write.unsubscribe("never/was")).await.expect("nothing to do");
        let subscribed = account.read(|read| read.subscriptions()).await.expect("read");
        assert_eq!(subscribed, ["Archive", "Drafts", "Inbox", "Junk", "Sent", "not/there"]);
        place.check_and_close(store).await;
    }
}
