//! DNS messages: what is read is canonical, so that it is written and read back the same, and nothing but the answer to a
//! question is taken for it.
#![no_main]

use libfuzzer_sys::fuzz_target;
use mailstead_dns::{Message, Name, Query, QueryFlags, Record, Rrsig};

fuzz_target!(|data: &[u8]| {
    let Ok(message) = Message::parse(data) else { return };
    for set in message.answer.iter().chain(&message.authority).chain(&message.additional) {
        assert!(set.data.is_sorted_by(|a, b| a < b), "ordered, and each once");
        assert_eq!(Name::parse(&set.owner.to_string()).as_ref(), Some(&set.owner));
        for signature in &set.signatures {
            assert_eq!(Rrsig::from_data(&signature.to_data()).as_ref(), Some(signature));
        }
        for octets in &set.data {
            let Some(record_type) = set.rtype.record_type() else { break };
            if let Some(record) = Record::from_data(record_type, octets) {
                let again = record.to_data().expect("names that were read can be written");
                assert_eq!(Record::from_data(record_type, &again).as_ref(), Some(&record));
            }
        }
    }
    if let Some(octets) = message.to_octets() {
        assert_eq!(Message::parse(&octets).as_ref(), Ok(&message));
    }

    // As an answer: only of this id, and to the question as it was spelled.
    let case = u64::from_le_bytes(*data.first_chunk().unwrap_or(&[0; 8]));
    let query = Query::new(message.id, &message.question, QueryFlags::default(), case);
    if let Some(reply) = query.reply(data) {
        assert!(reply == Ok(message.clone()) && message.flags.response && query.is_reply_in_other_case(data));
    }
    let mut echo = query.octets().to_vec();
    assert!(query.reply(&echo).is_none());
    echo[2] |= 0x80;
    let reply = query.reply(&echo).expect("the id and the question are the same").expect("it is well-formed");
    assert_eq!((reply.id, &reply.question), (message.id, &message.question));
    let other = Query::new(message.id ^ 1, &message.question, QueryFlags::default(), case);
    assert!(other.reply(data).is_none() && other.reply(&echo).is_none());
});
