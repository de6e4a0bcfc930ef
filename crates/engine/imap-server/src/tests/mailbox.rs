//! CREATE, DELETE, RENAME, subscriptions, STATUS, names on the wire.

use super::scene;

#[tokio::test]
async fn mailboxes_come_and_go() {
    let scene = scene().await;
    scene.deliver("Archive", "Subject: a\n\na\n").await;
    scene
        .session()
        .await
        .play(
            r#"
        C: a CREATE a/b/
        S: a OK ~
        C: b CREATE a/b
        S: b NO [ALREADYEXISTS] ~
        C: c CREATE inbox
        S: c NO ~
        C: d DELETE a
        S: d NO [HASCHILDREN] ~
        C: e RENAME a c/d
        S: e OK ~
        C: f STATUS c/d/b (MESSAGES)
        S: * STATUS c/d/b (MESSAGES 0)
        S: f OK ~
        C: g DELETE c/d/b
        S: g OK ~
        C: h STATUS c/d/b (MESSAGES)
        S: h NO [NONEXISTENT] ~
        C: i DELETE inbox
        S: i NO [CANNOT] ~
        C: j CREATE "a//b"
        S: j NO [CANNOT] ~
        C: k CREATE all (USE (\All))
        S: k NO [USEATTR] ~
        C: l CREATE mine (USE (\Archive))
        S: l OK ~
        C: m STATUS Archive (MESSAGES UNSEEN SIZE RECENT DELETED APPENDLIMIT)
        S: * STATUS Archive (MESSAGES 1 UNSEEN 1 SIZE 17 RECENT 1 DELETED 0 APPENDLIMIT 100000)
        S: m OK ~
        C: n SUBSCRIBE nowhere
        S: n OK ~
        C: o UNSUBSCRIBE nowhere
        S: o OK ~
        C: p NAMESPACE
        S: * NAMESPACE (("" "/")) NIL NIL
        S: p OK ~"#,
        )
        .await;
    scene.check().await;
}

/// `&-` may stand beside a shifted run in modified UTF-7.
#[tokio::test]
async fn names_are_modified_utf7_until_utf8_is_enabled() {
    let scene = scene().await;
    scene
        .session()
        .await
        .play(
            "
        C: a CREATE &AOk-&-co
        S: a OK ~
        C: b STATUS &AOk-&-co (MESSAGES)
        S: * STATUS &AOk-&-co (MESSAGES 0)
        S: b OK ~
        C: c ENABLE UTF8=ACCEPT
        S: * ENABLED UTF8=ACCEPT
        S: c OK ~
        C: d STATUS \"é&co\" (MESSAGES)
        S: * STATUS \"é&co\" (MESSAGES 0)
        S: d OK ~",
        )
        .await;
    scene.check().await;
}

#[tokio::test]
async fn renaming_inbox_moves_its_messages() {
    let scene = scene().await;
    scene.fill(2).await;
    scene
        .selected("Inbox")
        .await
        .play(
            "
        C: a RENAME Inbox old
        S: * 1 EXPUNGE
        S: * 1 EXPUNGE
        S: ~
        S: a OK ~
        C: b STATUS old (MESSAGES)
        S: * STATUS old (MESSAGES 2)
        S: b OK ~",
        )
        .await;
    scene.check().await;
}
