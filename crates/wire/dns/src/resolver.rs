//! The seam between those who ask and those who resolve.

use std::fmt;
use std::future::{Future, poll_fn};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::pin::Pin;
use std::task::Poll;

use mailstead_names::Domain;

use crate::{Answer, Existence, LookupError, Record, RecordData, RecordType, Target};

/// A look-up under way.
pub type Lookup<'a> = Pin<Box<dyn Future<Output = Result<Answer<Record>, LookupError>> + Send + 'a>>;

/// Resolves names. Deadlines, caching and validation are the implementation's.
pub trait Resolver: fmt::Debug + Send + Sync {
    /// Looks up records of one type. The name is absolute. Aliases are followed, except where CNAME is asked for.
    fn lookup<'a>(&'a self, name: &'a Domain, record_type: RecordType) -> Lookup<'a>;
}

/// The questions by type. Each is one call of [`Resolver::lookup`], [`addresses`](#method.addresses) two at once.
impl dyn Resolver + '_ {
    /// Records of the type that the caller's type is for: `resolver.records::<Mx>(name)`.
    ///
    /// # Errors
    /// When there is no answer.
    pub async fn records<T: RecordData>(&self, name: &Domain) -> Result<Answer<T>, LookupError> {
        Ok(self.lookup(name, T::TYPE).await?.filter_map(T::from_record))
    }

    /// Names of an address. It is not checked that they have this address.
    ///
    /// # Errors
    /// When there is no answer.
    pub async fn ptr(&self, ip: IpAddr) -> Result<Answer<Target>, LookupError> {
        let answer = self.lookup(&reverse_name(ip), RecordType::Ptr).await?;
        Ok(answer.filter_map(|record| if let Record::Ptr(name) = record { Some(name) } else { None }))
    }

    /// Name servers.
    ///
    /// # Errors
    /// When there is no answer.
    pub async fn ns(&self, name: &Domain) -> Result<Answer<Target>, LookupError> {
        let answer = self.lookup(name, RecordType::Ns).await?;
        Ok(answer.filter_map(|record| if let Record::Ns(name) = record { Some(name) } else { None }))
    }

    /// Addresses of both families, IPv6 first.
    ///
    /// # Errors
    /// When one family has no answer and the other no addresses: then it is not known that there are none.
    pub async fn addresses(&self, name: &Domain) -> Result<Answer<IpAddr>, LookupError> {
        let (v6, v4) = join(self.lookup(name, RecordType::Aaaa), self.lookup(name, RecordType::A)).await;
        let v6 = v6.map(|answer| answer.filter_map(|record| Ipv6Addr::from_record(record).map(IpAddr::V6)));
        let v4 = v4.map(|answer| answer.filter_map(|record| Ipv4Addr::from_record(record).map(IpAddr::V4)));
        merge(v6, v4)
    }
}

type Addresses = Result<Answer<IpAddr>, LookupError>;

fn merge(first: Addresses, second: Addresses) -> Addresses {
    match (first, second) {
        (Ok(first), Ok(second)) => match (first.existence, second.existence) {
            (Existence::Found, Existence::Found) => Ok(union(first, second)),
            (Existence::Found, _) => Ok(first),
            (_, Existence::Found) => Ok(second),
            // A mixture should not occur; "no data" is the more careful reading of it.
            (Existence::NxDomain, _) => Ok(second),
            (Existence::NoData, _) => Ok(first),
        },
        (Ok(mut answer), Err(error)) | (Err(error), Ok(mut answer)) => {
            if answer.existence != Existence::Found {
                return Err(error);
            }
            answer.extended_errors.extend(error.extended_errors);
            Ok(answer)
        }
        (Err(error), Err(_)) => Err(error),
    }
}

/// All records of both. The families normally share their chain; where they do not, the weaker one counts.
fn union(mut first: Answer<IpAddr>, mut second: Answer<IpAddr>) -> Answer<IpAddr> {
    let ttl = first.ttl.min(second.ttl);
    let mut records = std::mem::take(&mut first.records);
    records.append(&mut second.records);
    let (mut weaker, stronger) =
        if second.authenticity() < first.authenticity() { (second, first) } else { (first, second) };
    weaker.extended_errors.extend(stronger.extended_errors);
    Answer { records, ttl, ..weaker }
}

/// Waits for both.
async fn join<'a>(
    mut first: Lookup<'a>,
    mut second: Lookup<'a>,
) -> (Result<Answer<Record>, LookupError>, Result<Answer<Record>, LookupError>) {
    let (mut first_result, mut second_result) = (None, None);
    poll_fn(|context| {
        for (lookup, result) in [(&mut first, &mut first_result), (&mut second, &mut second_result)] {
            if result.is_none()
                && let Poll::Ready(value) = lookup.as_mut().poll(context)
            {
                *result = Some(value);
            }
        }
        match (first_result.take(), second_result.take()) {
            (Some(first), Some(second)) => Poll::Ready((first, second)),
            (first, second) => {
                (first_result, second_result) = (first, second);
                Poll::Pending
            }
        }
    })
    .await
}

/// The name under which the names of an address stand (RFC 1035 §3.5, RFC 3596 §2.5).
pub fn reverse_name(ip: IpAddr) -> Domain {
    let name = match ip {
        IpAddr::V4(ip) => {
            let [a, b, c, d] = ip.octets();
            format!("{d}.{c}.{b}.{a}.in-addr.arpa")
        }
        IpAddr::V6(ip) => {
            let nibbles = ip.octets().into_iter().rev().map(|octet| format!("{:x}.{:x}.", octet & 15, octet >> 4));
            nibbles.collect::<String>() + "ip6.arpa"
        }
    };
    // Digits and letters only, and short: always a name.
    Domain::parse(&name).unwrap_or_else(|_| unreachable!("{name} is a domain name"))
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;
    use std::task::{Context, Waker};
    use std::time::Duration;

    use super::*;
    use crate::{Authenticity, Hop, HopKind, LookupErrorKind, Mx};

    /// Answers from a list and remembers what it was asked.
    #[derive(Debug, Default)]
    struct Fixed {
        answers: Vec<(RecordType, Result<Answer<Record>, LookupErrorKind>)>,
        asked: Mutex<Vec<RecordType>>,
    }

    impl Resolver for Fixed {
        fn lookup<'a>(&'a self, name: &'a Domain, record_type: RecordType) -> Lookup<'a> {
            self.asked.lock().unwrap().push(record_type);
            let answer = self.answers.iter().find(|(t, _)| *t == record_type).map(|(_, answer)| answer.clone());
            let absent = Ok(Answer::absent(Existence::NoData, Authenticity::Secure, Duration::ZERO));
            let answer = answer.unwrap_or(absent);
            Box::pin(async move { answer.map_err(|kind| LookupError::new(kind, name, record_type)) })
        }
    }

    fn ready<T>(future: impl Future<Output = T>) -> T {
        match std::pin::pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(value) => value,
            Poll::Pending => panic!("nothing here waits"),
        }
    }

    fn domain(name: &str) -> Domain {
        Domain::parse(name).unwrap()
    }

    const V4: Record = Record::A(Ipv4Addr::new(192, 0, 2, 1));
    const V6: Record = Record::Aaaa(Ipv6Addr::LOCALHOST);

    fn found(record: Record, authenticity: Authenticity) -> Result<Answer<Record>, LookupErrorKind> {
        Ok(Answer::found(vec![record], authenticity, Duration::from_secs(60)))
    }

    #[test]
    fn records_of_other_types_are_left_out() {
        let mx = Mx { preference: 10, exchange: Target::parse("mx.example.") };
        let answer = Answer::found(vec![V4, Record::Mx(mx.clone())], Authenticity::Secure, Duration::ZERO);
        let fixed = Fixed { answers: vec![(RecordType::Mx, Ok(answer))], ..Fixed::default() };
        let resolver: &dyn Resolver = &fixed;
        let answer = ready(resolver.records::<Mx>(&domain("example"))).unwrap();
        assert_eq!(answer.records, [mx]);
        assert_eq!(*fixed.asked.lock().unwrap(), [RecordType::Mx]);
    }

    #[test]
    fn addresses_of_both_families_are_as_trustworthy_as_the_weaker() {
        let fixed = Fixed {
            answers: vec![
                (RecordType::A, found(V4, Authenticity::Insecure)),
                (RecordType::Aaaa, found(V6, Authenticity::Secure)),
            ],
            ..Fixed::default()
        };
        let answer = ready((&fixed as &dyn Resolver).addresses(&domain("mx.example"))).unwrap();
        assert_eq!(answer.records, [IpAddr::from(Ipv6Addr::LOCALHOST), IpAddr::from([192, 0, 2, 1])]);
        assert_eq!(answer.authenticity(), Authenticity::Insecure);
    }

    #[test]
    fn one_family_without_answer_counts_only_where_the_other_is_empty() {
        let bogus = (RecordType::Aaaa, Err(LookupErrorKind::Bogus));
        let fixed = Fixed { answers: vec![bogus.clone()], ..Fixed::default() };
        let error = ready((&fixed as &dyn Resolver).addresses(&domain("mx.example"))).unwrap_err();
        assert_eq!(error.kind, LookupErrorKind::Bogus);
        assert_eq!(error.to_string(), "looking up AAAA mx.example: DNSSEC validation failed");

        let fixed =
            Fixed { answers: vec![bogus, (RecordType::A, found(V4, Authenticity::Secure))], ..Fixed::default() };
        let answer = ready((&fixed as &dyn Resolver).addresses(&domain("mx.example"))).unwrap();
        assert_eq!(answer.records, [IpAddr::from([192, 0, 2, 1])]);
    }

    #[test]
    fn an_insecure_hop_makes_the_whole_insecure() {
        let mut answer = Answer::found(vec![V4], Authenticity::Secure, Duration::ZERO);
        assert!(answer.is_secure());
        let hop =
            |from, to, authenticity| Hop { from: domain(from), to: domain(to), kind: HopKind::Cname, authenticity };
        answer.chain.push(hop("a.example", "b.example", Authenticity::Insecure));
        answer.chain.push(hop("b.example", "c.example", Authenticity::Secure));
        assert!(!answer.is_secure());
        assert_eq!(answer.final_name(&domain("a.example")).as_ascii(), "c.example");
    }

    #[test]
    fn reverse_names() {
        assert_eq!(reverse_name([192, 0, 2, 1].into()).as_ascii(), "1.2.0.192.in-addr.arpa");
        assert_eq!(
            reverse_name("2001:db8::567:89ab".parse().unwrap()).as_ascii(),
            "b.a.9.8.7.6.5.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa"
        );
    }
}
