//! A store of version 1, as it was released, is brought up to date when it is opened.

use std::fs;

use mailstead_names::KeyFingerprint;
use mailstead_runtime::Clock;
use mailstead_store::{AccountId, Facts, ImapPreauth, MessageId, Refused, TlsKey};

use crate::letters::mailbox;
use crate::support::{Engine, Place, on_both};

const ACCOUNT: AccountId = AccountId(7);
const MESSAGE: MessageId = MessageId(3);

/// A message in the queue, in the words of version 1.
const QUEUED: &str = "
    insert into queue_messages (id, submitter, sender, blob_id, prefix, size, eight_bit, smtputf8, demand_version, demand,
        created_at) values (50, null, '<a@b.example>', 2, x'', 14, 0, 0, 1, x'7b7d', 0);
    insert into queue_recipients (id, message_id, recipient, destination, attempts, last_attempt_at, next_attempt_at, leased,
        result_version, result) values (51, 50, 'c@d.example', 'd.example', 0, null, 0, 0, null, null);";

/// Makes a store of version 1 with an account, a message and another in the queue.
async fn version_1(place: &Place) {
    let rows = format!("{}{QUEUED}", include_str!("../../testdata/schema/1.rows.sql"));
    match place.engine {
        Engine::Sqlite => {
            let schema = include_str!("../../testdata/schema/1.sqlite.sql");
            fs::create_dir_all(place.directory.path().join(format!("accounts/{ACCOUNT}"))).expect("made");
            // All tables in both files, which is more than a store has there and does no harm.
            let all = format!("{schema}; {rows} pragma user_version = 1;");
            place.meddle(None, &all).await;
            place.meddle(Some(ACCOUNT), &all).await;
        }
        Engine::Postgres => {
            let schema = include_str!("../../testdata/schema/1.postgres.sql");
            let rows = rows.replace(" x'", " '\\x");
            let version =
                "create table schema_version (version bigint not null); insert into schema_version values (1);";
            place.meddle(None, &format!("{schema}; {rows} {version}")).await;
        }
    }
}

on_both! {
    async fn version_1_gets_what_came_later(place: &Place) {
        version_1(place).await;
        let store = place.open().await;
        let account = store.account("alice").await.expect("looked up").expect("there");
        assert_eq!(mailbox(&account, "Inbox").await.counts.total, 1);
        let old = account.read(|read| read.facts(MESSAGE, "evidence")).await.expect("read").expect("kept");
        assert_eq!((old.version, old.payload.as_slice(), old.reference.as_ref()), (1, b"{}".as_slice(), None));
        let new = Facts { reference: Some("m1".to_owned()), ..old };
        let kept = new.clone();
        account.write(move |write| write.set_facts(MESSAGE, &kept)).await.expect("kept");
        let found = account.read(|read| read.facts_by_reference("evidence", "m1", 10)).await.expect("read");
        assert_eq!(found, [(MESSAGE, new)]);

        let refused =
            Refused { reference: "m2".to_owned(), at: place.clock.now(), version: 1, payload: b"{}".to_vec() };
        store.refused().put(refused.clone()).await.expect("kept");
        assert_eq!(store.refused().find("m2", 10).await.expect("read"), [refused]);

        let queued = store.queue().list(None, 10).await.expect("listed").remove(0);
        assert_eq!(queued.recipient.to_string(), "c@d.example");
        assert_eq!((queued.ret, queued.envid, queued.notify, queued.orcpt), (None, None, None, None));

        let key = TlsKey {
            fingerprint: KeyFingerprint::new([7; 32]),
            account: ACCOUNT,
            login: "alice@b.example".to_owned(),
            name: String::new(),
            kind: "ed25519".to_owned(),
            imap_preauth: ImapPreauth::Allowed,
            spki: vec![1],
            added: place.clock.now(),
        };
        store.tls_keys().add(key.clone()).await.expect("kept");
        assert_eq!(store.tls_keys().list(ACCOUNT).await.expect("read"), [key]);
        store.close().await;

        match place.engine {
            Engine::Sqlite => {
                for name in ["server-v1.db", "account-7-v1.db"] {
                    assert!(place.directory.path().join("backup").join(name).exists(), "{name}");
                }
            }
            // Fails unless there is a row.
            Engine::Postgres => {
                place.administer("select 1 / count(*) from mailstead_backup_v1.message_facts".to_owned()).await;
            }
        }
    }
}
