//! LIST with its options, and LSUB.

use super::{Scene, scene};

async fn hierarchy() -> Scene {
    let scene = scene().await;
    let prepared = scene.jane.write(|write| {
        for mailbox in write.mailboxes()? {
            write.unsubscribe(&mailbox.name)?;
        }
        for name in ["Fruit/Apple", "Fruit/Banana", "Tofu"] {
            write.create_mailbox(name, None)?;
            write.unsubscribe(name)?;
        }
        write.unsubscribe("Fruit")?;
        write.subscribe("Fruit/Banana")?;
        write.subscribe("Gone/Peach")
    });
    prepared.await.expect("mailboxes");
    scene
}

#[tokio::test]
async fn the_empty_name_asks_for_the_delimiter() {
    scene()
        .await
        .session()
        .await
        .play(
            r#"
        C: a LIST "" ""
        S: * LIST (\Noselect) "/" ""
        S: a OK ~
        C: b LIST Fruit/ ""
        S: * LIST (\Noselect) "/" ""
        S: b OK ~
        C: c LIST () "" ""
        S: c OK ~"#,
        )
        .await;
}

#[tokio::test]
async fn plain_lists_tell_children_subscriptions_and_special_use() {
    hierarchy()
        .await
        .session()
        .await
        .play(
            r#"
        C: a LIST "" *t
        S: * LIST (\HasChildren) "/" Fruit
        S: * LIST (\HasNoChildren \Sent) "/" Sent
        S: a OK ~
        C: b LIST Fruit/ %
        S: * LIST (\HasNoChildren) "/" Fruit/Apple
        S: * LIST (\HasNoChildren \Subscribed) "/" Fruit/Banana
        S: b OK ~
        C: c LIST "" inbox
        S: * LIST (\HasNoChildren) "/" Inbox
        S: c OK ~
        C: d LIST "" (Tofu "Fruit/A%") RETURN (CHILDREN)
        S: * LIST (\HasNoChildren) "/" Fruit/Apple
        S: * LIST (\HasNoChildren) "/" Tofu
        S: d OK ~"#,
        )
        .await;
}

#[tokio::test]
async fn selection_options() {
    hierarchy()
        .await
        .session()
        .await
        .play(
            r#"
        C: a LIST (SUBSCRIBED) "" *
        S: * LIST (\HasNoChildren \Subscribed) "/" Fruit/Banana
        S: * LIST (\NonExistent \Subscribed \HasNoChildren) "/" Gone/Peach
        S: a OK ~
        C: b LIST (SUBSCRIBED RECURSIVEMATCH) "" %
        S: * LIST (\HasChildren) "/" Fruit ("CHILDINFO" ("SUBSCRIBED"))
        S: * LIST (\NonExistent \HasNoChildren) "/" Gone ("CHILDINFO" ("SUBSCRIBED"))
        S: b OK ~
        C: c LIST (SPECIAL-USE) "" S%
        S: * LIST (\HasNoChildren \Sent) "/" Sent
        S: c OK ~
        C: d LIST (RECURSIVEMATCH) "" %
        S: d BAD ~
        C: e LSUB "" *
        S: * LSUB () "/" Fruit/Banana
        S: * LSUB () "/" Gone/Peach
        S: e OK ~
        C: f LSUB "" %
        S: * LSUB (\Noselect) "/" Fruit
        S: * LSUB (\Noselect) "/" Gone
        S: f OK ~"#,
        )
        .await;
}

#[tokio::test]
async fn status_comes_with_selected_mailboxes_that_exist() {
    let scene = hierarchy().await;
    scene.deliver("Fruit/Banana", "Subject: a\n\na\n").await;
    scene
        .session()
        .await
        .play(
            r#"
        C: a LIST (SUBSCRIBED RECURSIVEMATCH) "" (% Fruit/% Gone/%) RETURN (STATUS (MESSAGES UNSEEN))
        S: * LIST (\HasNoChildren \Subscribed) "/" Fruit/Banana
        S: * STATUS Fruit/Banana (MESSAGES 1 UNSEEN 1)
        S: * LIST (\NonExistent \Subscribed \HasNoChildren) "/" Gone/Peach
        S: a OK ~"#,
        )
        .await;
}
