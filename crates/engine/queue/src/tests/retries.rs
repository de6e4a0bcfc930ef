//! When attempts are made, beside what notices and the table in `schedule` say of them.

use jiff::SignedDuration;

use super::*;

/// Waits between attempts in half minutes (RFC 5321 §4.5.4.1), and after which attempt the sender is told what of them.
struct Class {
    class: MessageClass,
    waits: &'static [i64],
    told: Option<(usize, &'static str)>,
}

const TABLE: [Class; 3] = [
    Class {
        class: MessageClass::Submission,
        waits: &[15, 30, 60, 120, 240, 480, 960],
        told: Some((5, "The next attempt is in 2 hours, further ones follow 4 hours, then 8 hours later.")),
    },
    Class { class: MessageClass::Notice, waits: &[15, 30, 60, 120, 240, 480, 960], told: None },
    Class { class: MessageClass::Report, waits: &[15, 30, 60, 120], told: None },
];

/// Waits may vary by this much.
const JITTER: SignedDuration = SignedDuration::from_secs(5);

#[tokio::test]
async fn what_the_table_says_happens_and_what_is_told_is_what_the_table_says() {
    for Class { class, waits, told } in TABLE {
        let world = World::new().await;
        let staged = world.stage("Subject: test\r\n\r\nHello.\r\n").await;
        let envelope = Envelope {
            submitter: Some(SUBMITTER),
            sender: ReversePath::parse("<you@here.example>").unwrap(),
            recipients: vec![Address::parse("a@other.example").unwrap().into()],
            eight_bit: false,
            smtputf8: false,
            notification: Notification::default(),
        };
        world.queue.enqueue(envelope, Vec::new(), staged, Demand::default(), class).await.unwrap();
        world.run();
        // Nobody listens. Attempts are what was dialled, and when.
        let mut made = Vec::new();
        for attempt in 1..=u32::try_from(waits.len()).unwrap() {
            let row = world.deferred_row("a@other.example", attempt).await;
            assert_eq!(world.dialer.dialled().len(), made.len() + 1, "{class:?}");
            made.push(row.last_attempt.unwrap());
            let wait = row.next_attempt.duration_since(row.last_attempt.unwrap());
            let expected = SignedDuration::from_secs(30 * waits[made.len() - 1]);
            assert!((wait - expected).abs() <= JITTER, "{class:?} after attempt {attempt}: {wait:?}");
            world.advance_to(row.next_attempt);
        }
        world.until("over", |rows| rows.iter().all(|row| row.recipient.to_string() != "a@other.example")).await;
        made.push(world.clock.now());
        assert_eq!(world.dialer.dialled().len(), waits.len() + 1, "{class:?}");
        world.empty().await;

        let notices = world.accounts.delivered();
        let delays: Vec<_> =
            notices.iter().filter(|notice| notice.field("Subject") == "Mail delivery delayed").collect();
        assert_eq!(delays.len(), usize::from(told.is_some()), "{class:?}");
        let Some((after, text)) = told else { continue };
        let delay = delays[0];
        assert!(delay.message.split_whitespace().collect::<Vec<_>>().join(" ").contains(text), "{}", delay.message);
        let date = |name: &str| mailstead_message::date::parse(&delay.status(name).unwrap()).unwrap().at;
        let second = |at: Timestamp| at.as_second();
        assert_eq!(second(date("Last-Attempt-Date")), second(made[after - 1]));
        // One more wait behind each attempt that is still to come but the next, whose time is known.
        let slack = JITTER * i32::try_from(waits.len() - after).unwrap();
        let promised = date("Will-Retry-Until");
        let last = *made.last().unwrap();
        assert!(promised.duration_since(last).abs() <= slack + SignedDuration::from_secs(1), "{promised} {last}");
    }
}
