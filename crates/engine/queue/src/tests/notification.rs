//! What senders ask to be told (RFC 3461), on its way to the next server and in notices.

use mailstead_message::Section;
use mailstead_message::dsn::Action;
use mailstead_smtp::{Notify, Orcpt, Ret};

use super::*;
use crate::demand::Terms;
use crate::notice::Succeeded;
use crate::{Plaintext, Remote, TlsRequirement};

const YOU: &str = "<you@here.example>";

/// A recipient with NOTIFY and, as ORCPT, another local part.
fn recipient(address: &str, notify: &str) -> EnvelopeRecipient {
    EnvelopeRecipient {
        notify: Some(Notify::parse(notify).unwrap()),
        orcpt: Orcpt::parse(&format!("rfc822;old+2B{address}")),
        ..Address::parse(address).unwrap().into()
    }
}

fn asking(ret: Option<Ret>) -> Notification {
    Notification { ret, envid: Some("QQ 31".to_owned()) }
}

/// What the submitter is told of a message to these recipients, of whom `no` does not exist.
async fn told(recipients: Vec<EnvelopeRecipient>, ret: Option<Ret>, demand: Demand) -> Vec<Delivered> {
    let world = World::new().await;
    world.run();
    world.accounts.refuse("no@here.example", &[reply(550, "5.1.1", "no such user")]);
    world.submit_asking(YOU, recipients, asking(ret), demand).await;
    world.empty().await;
    world.accounts.delivered().into_iter().filter(|delivered| delivered.sender == "<>").collect()
}

#[tokio::test]
async fn failures_are_told_where_that_is_asked_for_or_nothing_is() {
    let silent = Address::parse("no@here.example").unwrap();
    assert_eq!(told(vec![silent.into()], None, Demand::default()).await.len(), 1);
    for (notify, notices) in [("FAILURE", 1), ("DELAY,FAILURE", 1), ("NEVER", 0), ("SUCCESS,DELAY", 0)] {
        let told = told(vec![recipient("no@here.example", notify)], None, Demand::default()).await;
        assert_eq!(told.len(), notices, "{notify}");
    }
}

#[tokio::test]
async fn notices_carry_the_names_the_sender_gave() {
    let told = told(vec![recipient("no@here.example", "FAILURE")], None, Demand::default()).await.remove(0);
    assert_eq!(told.status("Original-Envelope-Id").as_deref(), Some("QQ 31"));
    assert_eq!(told.status("Original-Recipient").as_deref(), Some("rfc822; old+no@here.example"));
    assert_eq!(told.status("Final-Recipient").as_deref(), Some("rfc822; no@here.example"));
}

#[tokio::test]
async fn only_those_are_named_of_whom_the_sender_wants_to_hear() {
    let world = World::new().await;
    world.run();
    for address in ["one@here.example", "two@here.example"] {
        world.accounts.refuse(address, &[reply(550, "5.1.1", "no such user")]);
    }
    let recipients = vec![recipient("one@here.example", "NEVER"), recipient("two@here.example", "FAILURE")];
    world.submit_asking(YOU, recipients, Notification::default(), Demand::default()).await;
    world.empty().await;
    let told = world.accounts.delivered().remove(0);
    assert!(
        told.message.contains("two@here.example") && !told.message.contains("one@here.example"),
        "{}",
        told.message
    );
    assert_eq!(told.status("Original-Envelope-Id"), None);
}

#[tokio::test]
async fn delays_are_told_unless_something_else_is_asked_for() {
    for (notify, notices) in [("FAILURE,SUCCESS", 0), ("DELAY", 1)] {
        let world = World::new().await;
        world.run();
        world.accounts.refuse("a@here.example", &vec![reply(452, "4.2.2", "full"); 6]);
        world.submit_asking(YOU, vec![recipient("a@here.example", notify)], asking(None), Demand::default()).await;
        for attempt in 1..=6 {
            let row = world.deferred_row("a@here.example", attempt).await;
            world.advance_to(row.next_attempt);
        }
        world.empty().await;
        let delivered = world.accounts.delivered();
        let delays = delivered.iter().filter(|delivered| delivered.field("Subject") == "Mail delivery delayed");
        assert_eq!(delays.count(), notices, "{notify}");
    }
}

#[tokio::test]
async fn the_whole_message_comes_back_only_of_a_failure_and_not_where_tls_was_required() {
    let require_tls = Demand { requirement: TlsRequirement::RequireTls, plaintext: Plaintext::Forbidden };
    for (ret, demand, whole) in [
        (Some(Ret::Full), Demand::default(), true),
        (Some(Ret::Headers), Demand::default(), false),
        (None, Demand::default(), false),
        (Some(Ret::Full), require_tls, false),
    ] {
        let told = told(vec![recipient("no@here.example", "FAILURE")], ret, demand).await.remove(0);
        let structure = Structure::scan(told.message.as_bytes());
        let part = structure.section(&[3], Section::Body).unwrap();
        let returned = &told.message[usize::try_from(part.start).unwrap()..usize::try_from(part.end).unwrap()];
        assert!(returned.starts_with("Received: by here.example\r\nSubject: test\r\n"), "{returned}");
        assert_eq!(returned.ends_with("\r\n\r\nHello.\r\n.\r\n"), whole, "{ret:?} {returned}");
    }
}

#[tokio::test]
async fn delivery_into_an_account_is_told_where_that_is_asked_for() {
    let recipients = vec![recipient("a@here.example", "SUCCESS"), recipient("b@here.example", "FAILURE,DELAY")];
    let told = told(recipients, Some(Ret::Full), Demand::default()).await;
    assert_eq!(told.len(), 1);
    let told = &told[0];
    assert_eq!(told.field("Subject"), "Mail delivered");
    assert_eq!(told.account, Some(SUBMITTER));
    for (name, value) in [
        ("Original-Envelope-Id", Some("QQ 31")),
        ("Original-Recipient", Some("rfc822; old+a@here.example")),
        ("Action", Some("delivered")),
        ("Status", Some("2.0.0")),
        ("Remote-MTA", None),
        ("Diagnostic-Code", None),
    ] {
        assert_eq!(told.status(name).as_deref(), value, "{name}");
    }
    assert!(!told.message.contains("b@here.example") && !told.message.contains("Hello."), "{}", told.message);
}

#[tokio::test]
async fn the_null_sender_is_not_told_of_success() {
    let world = World::new().await;
    world.run();
    world.submit_asking("<>", vec![recipient("a@here.example", "SUCCESS")], asking(None), Demand::default()).await;
    world.empty().await;
    assert_eq!(world.accounts.delivered().len(), 1);
}

#[tokio::test]
async fn a_server_that_offers_dsn_gets_what_was_asked_for() {
    let world = World::with(|settings| settings.routes = relayed(hop(RouteSecurity::Plaintext))).await;
    let recipients = vec![recipient("a@other.example", "SUCCESS"), Address::parse("b@other.example").unwrap().into()];
    world.submit_asking(YOU, recipients, asking(Some(Ret::Headers)), Demand::default()).await;
    let peer = world.peer(
        "S: 220 hop.example ESMTP
         C: EHLO here.example
         S: 250-hop.example
         S: 250-DSN
         S: 250 PIPELINING
         C: MAIL FROM:<you@here.example> RET=HDRS ENVID=QQ+2031
         C: RCPT TO:<a@other.example> NOTIFY=SUCCESS ORCPT=rfc822;old+2Ba@other.example
         C: RCPT TO:<b@other.example>
         C: DATA
         S: 250 2.1.0 ok
         S: 250 2.1.5 ok
         S: 250 2.1.5 ok
         S: 354 go
         C: <data>
         S: 250 2.0.0 taken
         C: QUIT
         S: 221 bye",
    );
    world.run();
    peer.await.unwrap();
    world.empty().await;
    assert!(world.accounts.delivered().is_empty(), "the next server reports");
}

#[tokio::test]
async fn relaying_to_a_server_without_dsn_can_be_told() {
    let world = World::new().await;
    let recipients = vec![recipient("a@other.example", "SUCCESS"), recipient("b@other.example", "NEVER")];
    world.submit_asking(YOU, recipients, asking(None), Demand::default()).await;
    let rows = world.rows().await;
    let (reply, remote) = (reply(250, "2.6.0", "taken"), Remote { host: hop(RouteSecurity::Plaintext).host, ip: None });
    let relayed = |row| Succeeded::if_wanted(row, Action::Relayed, &reply, Some(&remote));
    assert!(relayed(&rows[1]).is_none());
    let succeeded = [relayed(&rows[0]).unwrap()];
    let notice = world.queue.inner.success_notice(&succeeded, MessageClass::Submission).await.unwrap().unwrap();
    let terms = Terms::decode(&notice.demand).unwrap();
    assert_eq!((terms.class, terms.account()), (MessageClass::Notice, Some(SUBMITTER)));
    world.store.queue().settle(Vec::new(), vec![notice]).await.unwrap();
    let row = world.rows().await.pop().unwrap();
    let reader = world.store.queue().open(row.id).await.unwrap().unwrap();
    let message = String::from_utf8(reader.read(0..reader.size()).await.unwrap()).unwrap();
    for field in [
        "Action: relayed",
        "Status: 2.6.0",
        "Remote-MTA: dns; [192.0.2.25]",
        "Diagnostic-Code: smtp; 250 2.6.0 taken",
        "Original-Recipient: rfc822; old+a@other.example",
    ] {
        assert!(message.contains(&format!("\r\n{field}\r\n")), "{field}: {message}");
    }
}

#[tokio::test]
async fn a_notice_is_protected_as_its_message_was() {
    let demand = Demand { requirement: TlsRequirement::RequireTls, plaintext: Plaintext::Forbidden };
    for (demand, expected) in [
        (demand, demand),
        (Demand { requirement: TlsRequirement::TlsRequiredNo, ..Demand::default() }, Demand::default()),
    ] {
        let world = World::new().await;
        world.submit_asking(YOU, vec![recipient("a@here.example", "SUCCESS")], asking(None), demand).await;
        let row = world.rows().await.remove(0);
        let succeeded = [Succeeded::if_wanted(&row, Action::Delivered, &reply(250, "2.0.0", "stored"), None).unwrap()];
        let notice = world.queue.inner.success_notice(&succeeded, MessageClass::Submission).await.unwrap().unwrap();
        assert_eq!(Terms::decode(&notice.demand).unwrap().demand, expected);
    }
}

#[tokio::test]
async fn success_beyond_a_server_without_dsn_is_told_as_relayed() {
    let world = World::with(|settings| settings.routes = relayed(hop(RouteSecurity::Plaintext))).await;
    let recipients = vec![recipient("a@other.example", "SUCCESS")];
    world.submit_asking(YOU, recipients, asking(None), Demand::default()).await;
    let peer = world.peer(smtp::ACCEPTS);
    world.run();
    world.empty().await;
    peer.await.unwrap();
    let told = world.accounts.delivered().remove(0);
    assert_eq!(told.status("Action").as_deref(), Some("relayed"));
    assert_eq!(told.status("Remote-MTA").as_deref(), Some("dns; [192.0.2.25]"));
}
