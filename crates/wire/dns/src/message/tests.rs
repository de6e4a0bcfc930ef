use proptest::prelude::*;

use super::*;
use crate::{Record, RecordType};

fn name(text: &str) -> Name {
    Name::parse(text).unwrap()
}

fn question(text: &str, rtype: Rtype) -> Question {
    Question { name: name(text), rtype }
}

/// A response with these octets behind its question for `a.example` A, and these counts of records.
fn response(counts: [u8; 3], records: &[u8]) -> Vec<u8> {
    let [answer, authority, additional] = counts;
    let mut octets = vec![0x12, 0x34, 0x81, 0xa3, 0, 1, 0, answer, 0, authority, 0, additional];
    octets.extend(b"\x01a\x07example\x00\x00\x01\x00\x01");
    octets.extend(records);
    octets
}

#[test]
fn a_compressed_response_becomes_canonical_sets() {
    let records = b"\xc0\x0c\x00\x0f\x00\x01\x00\x00\x01\x2c\x00\x07\x00\x0a\x02MX\xc0\x0e\
        \xc0\x0c\x00\x0f\x00\x01\x00\x00\x00\x3c\x00\x07\x00\x05\x02mx\xc0\x0e\
        \xc0\x0c\x00\x0f\x00\x01\x00\x00\x01\x2c\x00\x07\x00\x0a\x02mx\xc0\x0e\
        \x00\x00\x29\x04\xd0\x00\x00\x80\x00\x00\x0c\x00\x0f\x00\x08\x00\x09no key";
    let message = Message::parse(&response([3, 0, 1], records)).unwrap();
    assert_eq!((message.id, message.rcode), (0x1234, Rcode::NXDOMAIN));
    assert!(message.flags.response && message.flags.recursion_available && message.flags.authentic_data);
    assert_eq!(message.question, question("a.example", Rtype::A));
    let set = Message::find(&message.answer, &name("A.example"), Rtype::MX).unwrap();
    assert_eq!((set.ttl, set.data.len()), (60, 2));
    assert_eq!(Record::from_data(RecordType::Mx, &set.data[0]).unwrap().to_string(), "5 mx.example.");
    assert_eq!(message.extended_errors(), [ExtendedError { code: 9, text: "no key".into() }]);
    assert!(message.edns.unwrap().dnssec_ok);
}

#[test]
fn long_texts_of_extended_errors_are_cut_once() {
    // Replaced, what is no UTF-8 takes three times as much.
    for (octets, expected) in [(vec![0xff; 200], "\u{fffd}".repeat(170)), (b"a\0".repeat(300), "a\0".repeat(255) + "a")]
    {
        let length = octets.len() as u16;
        let mut records = b"\x00\x00\x29\x04\xd0\x00\x00\x80\x00".to_vec();
        records.extend((length + 6).to_be_bytes());
        records.extend(b"\x00\x0f");
        records.extend((length + 2).to_be_bytes());
        records.extend(b"\x00\x09");
        records.extend(octets);
        let message = Message::parse(&response([0, 0, 1], &records)).unwrap();
        assert_eq!(message.extended_errors(), [ExtendedError { code: 9, text: expected }]);
        assert_eq!(Message::parse(&message.to_octets().unwrap()), Ok(message));
    }
}

#[test]
fn compression_must_lead_back() {
    // To itself, forwards, in a circle of two, and into the record's own data.
    for records in [
        b"\xc0\x1b\x00\x01\x00\x01\x00\x00\x00\x00\x00\x00".as_slice(),
        b"\xc0\xff\x00\x01\x00\x01\x00\x00\x00\x00\x00\x00",
        b"\x01a\xc0\x1b\x00\x01\x00\x01\x00\x00\x00\x00\x00\x00",
        b"\xc0\x0c\x00\x05\x00\x01\x00\x00\x00\x00\x00\x04\x01a\xc0\x27",
    ] {
        assert_eq!(Message::parse(&response([1, 0, 0], records)), Err(MessageError::Name), "{records:?}");
    }
}

#[test]
fn compression_makes_no_name_too_long() {
    // Each owner is a label of 63 octets before the owner of the record before it, the first before the question's name.
    let chain = |count: u8| {
        let mut octets = response([count, 0, 0], b"");
        for number in 0..count {
            let before = if number == 0 { 12 } else { octets.len() as u16 - 76 };
            octets.push(63);
            octets.extend([b'x'; 63]);
            octets.extend((0xc000 | before).to_be_bytes());
            octets.extend(b"\x00\x01\x00\x01\x00\x00\x00\x00\x00\x00");
        }
        Message::parse(&octets)
    };
    assert_eq!(chain(3).unwrap().answer[2].owner.as_wire().len(), 203);
    assert_eq!(chain(4), Err(MessageError::Name));
}

#[test]
fn data_must_fit_its_type() {
    for records in [
        // MX without a name, with octets behind it, and one whose name runs on into the next record.
        b"\xc0\x0c\x00\x0f\x00\x01\x00\x00\x00\x00\x00\x02\x00\x0a".as_slice(),
        b"\xc0\x0c\x00\x0f\x00\x01\x00\x00\x00\x00\x00\x05\x00\x0a\xc0\x0cx",
        b"\xc0\x0c\x00\x0f\x00\x01\x00\x00\x00\x00\x00\x04\x00\x0a\x01a\x00",
    ] {
        assert_eq!(Message::parse(&response([1, 0, 0], records)), Err(MessageError::Data), "{records:?}");
    }
}

#[test]
fn a_truncated_message_gives_what_is_whole() {
    let mut octets =
        response([2, 0, 0], b"\xc0\x0c\x00\x01\x00\x01\x00\x00\x00\x00\x00\x04\xc0\x00\x02\x01\xc0\x0c\x00");
    assert_eq!(Message::parse(&octets), Err(MessageError::Short));
    octets[2] |= 0x02;
    assert_eq!(Message::parse(&octets).unwrap().answer.len(), 1);
}

#[test]
fn answers_to_other_questions_are_not_taken() {
    let asked = question("www.example", Rtype::A);
    let query = Query::new(7, &asked, QueryFlags { dnssec_ok: true, ..QueryFlags::default() }, 0b1011);
    assert_eq!(&query.octets()[12..25], b"\x03WWw\x07Example\x00");
    let mut reply = query.octets().to_vec();
    assert!(query.reply(&reply).is_none(), "a query is no response");
    reply[2] |= 0x80;
    assert_eq!(query.reply(&reply).unwrap().unwrap().question, asked);
    for place in [0, 1, 5, 14, 26] {
        let mut other = reply.clone();
        other[place] ^= 0x20;
        assert!(query.reply(&other).is_none(), "octet {place}");
        assert_eq!(query.is_reply_in_other_case(&other), place == 14, "octet {place}");
    }
}

#[test]
fn ten_thousand_records_are_one_set() {
    // As many as fit into a message.
    let mut records = Vec::new();
    for number in 0..4600_u16 {
        records.extend(b"\xc0\x0c\x00\x10\x00\x01\x00\x00\x00\x00\x00\x02");
        records.extend(number.to_be_bytes());
    }
    let mut octets = response([0, 0, 0], &records);
    octets[6..8].copy_from_slice(&4600_u16.to_be_bytes());
    let message = Message::parse(&octets).unwrap();
    assert_eq!((message.answer.len(), message.answer[0].data.len()), (1, 4600));
}

fn names() -> impl Strategy<Value = Name> {
    proptest::collection::vec(proptest::collection::vec(any::<u8>(), 1..12), 0..5)
        .prop_map(|labels| Name::from_labels(labels.iter().map(Vec::as_slice)).unwrap())
}

fn sets() -> impl Strategy<Value = RrSet> {
    // An opaque type, and a signature or none.
    let data = proptest::collection::btree_set(proptest::collection::vec(any::<u8>(), 0..40), 1..5);
    (names(), 300..400_u16, 0..=0x7fff_ffff_u32, data, proptest::option::of((names(), any::<[u8; 16]>()))).prop_map(
        |(owner, rtype, ttl, data, signature)| RrSet {
            owner,
            rtype: Rtype(rtype),
            ttl,
            data: data.into_iter().map(Vec::into_boxed_slice).collect(),
            signatures: signature
                .map(|(signer, octets)| Rrsig {
                    type_covered: Rtype(rtype),
                    algorithm: octets[0],
                    labels: octets[1],
                    original_ttl: u32::from_be_bytes([octets[2], octets[3], octets[4], octets[5]]),
                    expiration: u32::from_be_bytes([octets[6], octets[7], octets[8], octets[9]]),
                    inception: 5,
                    key_tag: 9,
                    signer,
                    signature: octets.into(),
                })
                .into_iter()
                .collect(),
        },
    )
}

proptest! {
    #[test]
    fn what_is_written_is_read_back(
        id: u16, bits: [bool; 7], rcode in 0..4096_u16, asked in names(), answer in sets(), authority in sets(),
        code: u16, text in "[a-z ]{0,20}",
    ) {
        let message = Message {
            id,
            flags: Flags {
                response: bits[0],
                authoritative: bits[1],
                truncated: bits[2],
                recursion_desired: bits[3],
                recursion_available: bits[4],
                authentic_data: bits[5],
                checking_disabled: bits[6],
            },
            rcode: Rcode(rcode),
            question: Question { name: asked, rtype: Rtype::A },
            answer: vec![answer],
            authority: vec![authority],
            additional: Vec::new(),
            edns: Some(Edns { udp_size: 1232, dnssec_ok: true, extended_errors: vec![ExtendedError { code, text }] }),
        };
        prop_assert_eq!(Message::parse(&message.to_octets().unwrap()), Ok(message));
    }

    #[test]
    fn octets_of_any_kind_are_read_or_refused(octets in proptest::collection::vec(any::<u8>(), 0..600)) {
        if let Ok(message) = Message::parse(&octets) {
            // Canonical form: reading it again changes nothing.
            if let Some(again) = message.to_octets() {
                prop_assert_eq!(Message::parse(&again), Ok(message));
            }
        }
    }

    #[test]
    fn names_keep_their_order_and_form(mut all in proptest::collection::vec(names(), 3)) {
        for name in &all {
            prop_assert_eq!(Name::parse(&name.to_string()), Some(name.clone()));
            prop_assert_eq!(Name::from_wire(name.as_wire()), Some((name.clone(), name.as_wire().len())));
        }
        all.sort();
        prop_assert!(all[0] <= all[2]);
        let reversed = |name: &Name| name.labels().collect::<Vec<_>>().into_iter().rev().map(<[u8]>::to_vec).collect::<Vec<_>>();
        prop_assert!(reversed(&all[0]) <= reversed(&all[1]) && reversed(&all[1]) <= reversed(&all[2]));
    }
}
