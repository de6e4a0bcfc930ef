//! Whole SPF checks of hostile records: they end within their limits, and Received-SPF tells them.
#![no_main]

use std::task::{Context, Poll, Waker};
use std::time::{Duration, SystemTime};

use libfuzzer_sys::fuzz_target;
use mailstead_dns::{Answer, Authenticity, Existence, Lookup, RecordType, Resolver, Target, Txt};
use mailstead_mailauth::received_spf::ReceivedSpf;
use mailstead_mailauth::spf::{MOST_EXPLANATION, Query, check_host};
use mailstead_names::{Domain, EhloName};

/// The record, ten terms with eleven questions each, and an explanation with all names of the client.
const MOST_QUESTIONS: usize = 1 + 10 * 11 + 1 + 1 + 10;

/// Every name has an address, a mail exchanger and a name, and texts are lines of the input: the name says which one.
#[derive(Debug)]
struct Lines<'a>(Vec<&'a [u8]>);

impl Resolver for Lines<'_> {
    fn lookup<'a>(&'a self, name: &'a Domain, record_type: RecordType) -> Lookup<'a> {
        let octets = name.as_ascii().as_bytes();
        let record = match record_type {
            RecordType::Txt => {
                let line = self.0.get(octets.len() % self.0.len().max(1)).copied().unwrap_or_default();
                Some(mailstead_dns::Record::Txt(Txt { strings: vec![line.to_vec()] }))
            }
            RecordType::Mx => Some(mailstead_dns::Record::Mx(mailstead_dns::Mx {
                preference: 0,
                exchange: Target::Domain(name.clone()),
            })),
            RecordType::Ptr => Some(mailstead_dns::Record::Ptr(Target::parse("mx.example.org"))),
            RecordType::A if octets.len() % 3 != 0 => Some(mailstead_dns::Record::A([192, 0, 2, octets[0] % 2].into())),
            _ => None,
        };
        let answer = match record {
            Some(record) => Answer::found(vec![record], Authenticity::Secure, Duration::ZERO),
            None => Answer::absent(Existence::NxDomain, Authenticity::Insecure, Duration::ZERO),
        };
        Box::pin(async { Ok(answer) })
    }
}

fuzz_target!(|data: &[u8]| {
    let text = String::from_utf8_lossy(data);
    let resolver = Lines(data.split(|octet| *octet == b'\n').collect());
    let (sender, _) = text.split_once('\n').unwrap_or((&text, ""));
    let query =
        Query::sender([192, 0, 2, 1].into(), sender, &EhloName::parse("mx.example.org"), SystemTime::UNIX_EPOCH);
    let check = std::pin::pin!(check_host(&resolver, &query));
    let Poll::Ready(verdict) = check.poll(&mut Context::from_waker(Waker::noop())) else {
        panic!("nothing here waits")
    };
    assert!(verdict.evidence.consulted.len() <= MOST_QUESTIONS);
    if let Some(explanation) = &verdict.explanation {
        assert!(explanation.text.len() <= MOST_EXPLANATION && !explanation.text.contains(|c: char| c.is_control()));
    }
    let field = ReceivedSpf::new(&query, &verdict);
    assert_eq!(ReceivedSpf::parse(&field.to_string()), Ok(field));
});
