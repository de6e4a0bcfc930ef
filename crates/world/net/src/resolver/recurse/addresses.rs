//! Addresses of name servers for which the parent zone gave none: look-ups within a look-up.
//!
//! They are bounded in depth, number and time, and no name is looked up for its own sake: servers that can only be
//! found by asking each other come out as such (RFC 1034 §4.2.2) instead of waiting for each other.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::task::Poll;
use std::time::Duration;

use mailstead_dns::{LookupErrorKind, Message, Name, Question, Rtype};
use mailstead_runtime::{BoxFuture, Deadline};
use tokio::time::Instant;

use super::super::upstream::{FetchError, Reach};
use super::delegation::addresses;
use super::failure::NoAddress;
use super::{Errand, Recursor, lock, take};

/// How long one such look-up may take, so that time is left for another name.
const LOOK_UP_TIME: Duration = Duration::from_secs(4);
/// How long the one family is waited for once there are addresses of the other: both may be needed, as a route may be
/// broken without anybody saying so (RFC 8305 §3 waits as long for the same reason).
const OTHER_FAMILY: Duration = Duration::from_millis(50);
/// Addresses are kept no longer and no shorter.
const LONGEST: Duration = Duration::from_secs(86_400);
const SHORTEST: Duration = Duration::from_secs(30);
/// How long we remember that there are none.
const ABSENCE: Duration = Duration::from_secs(60);

/// What a round of look-ups brought.
#[derive(Debug)]
pub(super) struct LookedUp {
    /// What is known now.
    pub(super) ended: Vec<(Name, Result<Vec<IpAddr>, NoAddress>)>,
    /// What was under way still when the first addresses were found.
    pub(super) unfinished: Vec<Name>,
}

impl Recursor {
    /// The addresses of a server as far as they are known from its own zone.
    pub(super) fn known_addresses(&self, name: &Name) -> Vec<IpAddr> {
        let now = Instant::now();
        let mut known = lock(&self.addresses);
        let mut of = |rtype| known.get(&(name.clone(), rtype), now).cloned().unwrap_or_default();
        let mut all = of(Rtype::A);
        all.extend(of(Rtype::AAAA));
        all
    }

    /// Looks these names up at the same time, until one of them is found.
    pub(super) fn look_up<'a>(&'a self, errand: &'a Errand<'a>, names: Vec<Name>) -> BoxFuture<'a, LookedUp> {
        Box::pin(async move {
            let mut under_way: Vec<BoxFuture<'a, _>> = Vec::with_capacity(names.len());
            for name in &names {
                under_way.push(Box::pin(self.addresses_of(errand, name.clone())));
            }
            let mut result = LookedUp { ended: Vec::new(), unfinished: names };
            while !under_way.is_empty() {
                let (name, outcome) = first(&mut under_way).await;
                let found = outcome.is_ok();
                result.unfinished.retain(|other| *other != name);
                result.ended.push((name, outcome));
                if found {
                    break;
                }
            }
            result
        })
    }

    async fn addresses_of(&self, errand: &Errand<'_>, name: Name) -> (Name, Result<Vec<IpAddr>, NoAddress>) {
        let found = self.either_family(errand, &name).await;
        (name, found)
    }

    /// The addresses of both families, or of whichever comes first when the other takes long.
    async fn either_family(&self, errand: &Errand<'_>, name: &Name) -> Result<Vec<IpAddr>, NoAddress> {
        if errand.looking_up.contains(name) {
            return Err(NoAddress::Circular);
        }
        if errand.looking_up.len() >= self.limits.depth {
            return Err(NoAddress::TooDeep);
        }
        if !take(&errand.budget.address_lookups) {
            return Err(NoAddress::TooMany);
        }
        let mut looking_up = errand.looking_up.clone();
        looking_up.push(name.clone());
        let mut deadline = errand.deadline.earlier(Deadline::after(LOOK_UP_TIME));
        let inner = Errand { budget: errand.budget, attempt: 0, deadline, looking_up };
        let mut under_way: Vec<BoxFuture<'_, _>> = Vec::new();
        for rtype in self.families() {
            under_way.push(Box::pin(self.addresses_of_family(&inner, name, rtype)));
        }
        let (mut all, mut reason) = (Vec::new(), NoAddress::None);
        while !under_way.is_empty() {
            match deadline.bound(first(&mut under_way)).await {
                Ok(Ok(found)) => {
                    if !found.is_empty() {
                        deadline = deadline.earlier(Deadline::after(OTHER_FAMILY));
                    }
                    all.extend(found);
                }
                Ok(Err(error)) => {
                    let root_unreached = error.reach == Some(Reach::Root);
                    reason = NoAddress::Failed { kind: error.kind, root_unreached };
                }
                Err(_) if all.is_empty() => {
                    return Err(NoAddress::Failed { kind: LookupErrorKind::Timeout, root_unreached: false });
                }
                Err(_) => break,
            }
        }
        if all.is_empty() { Err(reason) } else { Ok(all) }
    }

    /// The types of addresses that we can use; both where we can use none, since that may change.
    fn families(&self) -> Vec<Rtype> {
        let usable = |any: IpAddr| !self.servers.has_no_route(SocketAddr::new(any, 0));
        match (usable(Ipv4Addr::UNSPECIFIED.into()), usable(Ipv6Addr::UNSPECIFIED.into())) {
            (true, false) => vec![Rtype::A],
            (false, true) => vec![Rtype::AAAA],
            _ => vec![Rtype::A, Rtype::AAAA],
        }
    }

    async fn addresses_of_family(
        &self,
        errand: &Errand<'_>,
        name: &Name,
        rtype: Rtype,
    ) -> Result<Vec<IpAddr>, FetchError> {
        let key = (name.clone(), rtype);
        if let Some(known) = lock(&self.addresses).get(&key, Instant::now()) {
            return Ok(known.clone());
        }
        let question = Question { name: name.clone(), rtype };
        let message = self.resolve(errand, &question).await?;
        // An alias is no name for a server (RFC 2181 §10.3), so none is followed.
        let (found, life) = match Message::find(&message.answer, name, rtype) {
            Some(set) => (addresses(set), Duration::from_secs(set.ttl.into()).clamp(SHORTEST, LONGEST)),
            None => (Vec::new(), ABSENCE),
        };
        lock(&self.addresses).insert(key, found.clone(), Instant::now() + life);
        Ok(found)
    }
}

/// The output of the first future that is ready; it is taken out. There must be one at least.
pub(super) async fn first<T>(futures: &mut Vec<BoxFuture<'_, T>>) -> T {
    std::future::poll_fn(|context| {
        let ready = futures.iter_mut().enumerate().find_map(|(index, future)| match future.as_mut().poll(context) {
            Poll::Ready(output) => Some((index, output)),
            Poll::Pending => None,
        });
        match ready {
            Some((index, output)) => {
                drop(futures.swap_remove(index));
                Poll::Ready(output)
            }
            None => Poll::Pending,
        }
    })
    .await
}

/// Whether a look-up failed because it would have been too much work.
pub(super) fn is_work_limit(why: &NoAddress) -> bool {
    matches!(why, NoAddress::TooMany | NoAddress::Failed { kind: LookupErrorKind::WorkLimit, .. })
}
