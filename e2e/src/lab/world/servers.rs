//! The authorities, and the zones whose servers are the difficulty: lame, dead, slow, of few words, or with too many.

use std::fmt::Write as _;
use std::net::IpAddr;

use super::super::zone::{Keys, Signer, Verdict, Zone};
use super::MAIL;

/// A server: one of other people's programs, or something that is not quite one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// NSD, a process for each authority.
    Nsd,
    /// BIND, a view for each authority.
    Named,
    /// Knot, which signs on line.
    Knot,
    /// A socket that nobody reads.
    Silent,
    /// An address where nothing listens.
    Closed,
    /// A proxy before another authority.
    Front(&'static str, Manner),
}

/// How a proxy treats what passes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Manner {
    /// Each response waits for 800 ms.
    Slow,
    /// Over UDP each response is an empty one that says TC.
    TcpOnly,
    /// A query with EDNS is a FORMERR (RFC 6891 §7).
    NoEdns,
    /// Records that deny are removed, and their signatures.
    Denyless,
    /// Questions about `taken` and `exist` are answered as if they were about `frees` and `absen`.
    Replaying,
}

/// An authority of the lab.
#[derive(Debug, Clone)]
pub struct Authority {
    /// What the zones call it.
    pub name: &'static str,
    /// What it is.
    pub kind: Kind,
    /// Its addresses.
    pub addresses: Vec<IpAddr>,
}

fn authority(name: &'static str, kind: Kind, number: u8) -> Authority {
    let addresses = [format!("198.51.100.{number}"), format!("2001:db8:53::{number}")];
    Authority { name, kind, addresses: addresses.iter().map(|text| text.parse().expect("an address")).collect() }
}

pub(super) fn authorities() -> Vec<Authority> {
    let only = |at: usize, mut authority: Authority| {
        authority.addresses = vec![authority.addresses[at]];
        authority
    };
    let root = authority("root", Kind::Nsd, 1);
    let second = authority("root", Kind::Nsd, 2);
    vec![
        Authority { addresses: [root.addresses, second.addresses].concat(), ..root },
        authority("registry", Kind::Named, 3),
        authority("registrar", Kind::Nsd, 4),
        authority("alpha", Kind::Nsd, 11),
        authority("beta", Kind::Named, 12),
        authority("gamma", Kind::Nsd, 13),
        authority("delta", Kind::Named, 14),
        authority("online", Kind::Knot, 15),
        only(1, authority("sixth", Kind::Named, 16)),
        only(0, authority("large", Kind::Nsd, 17)),
        only(0, authority("silent", Kind::Silent, 31)),
        only(0, authority("closed", Kind::Closed, 32)),
        only(0, authority("slow", Kind::Front("delta", Manner::Slow), 41)),
        only(0, authority("tcponly", Kind::Front("gamma", Manner::TcpOnly), 42)),
        only(0, authority("noedns", Kind::Front("delta", Manner::NoEdns), 43)),
        only(0, authority("bare", Kind::Front("gamma", Manner::Denyless), 44)),
        only(0, authority("replaying", Kind::Front("gamma", Manner::Replaying), 45)),
    ]
}

pub(super) fn zones() -> Vec<Zone> {
    let unsigned = |name, server| Zone::new(name, server).text(MAIL);
    let signed = |name, server| Zone::new(name, server).signed(Signer::Ldns, Keys::Csk(13)).text(MAIL);
    let error = Verdict::Error;
    vec![
        // Lame: refused; or answered for another zone, with a referral upwards.
        signed("refused.example.", "large").held_by(&["nobody"]).all(error),
        unsigned("refused.plain.", "delta").held_by(&["nobody"]).all(error).sparing(),
        unsigned("upward.example.", "root").held_by(&["nobody"]).all(error).sparing(),
        signed("halflame.example.", "large").also("gamma").held_by(&["gamma"]),
        unsigned("nonames.example.", "gamma").hosts(&["ns.nowhere.example."]).all(error).sparing(),
        unsigned("circle.example.", "gamma").hosts(&["ns.circle.plain."]).all(error).sparing(),
        unsigned("circle.plain.", "gamma").hosts(&["ns.circle.example."]).all(error).sparing(),
        // Dead, half or whole.
        signed("halfsilent.example.", "silent").also("gamma").held_by(&["gamma"]),
        signed("halfclosed.example.", "closed").also("delta").held_by(&["delta"]),
        signed("silent.example.", "silent").held_by(&["nobody"]).all(error).sparing(),
        unsigned("closed.example.", "closed").held_by(&["nobody"]).all(error).sparing(),
        // Slow, over TCP only, without EDNS, over IPv6 only.
        signed("slow.example.", "slow").held_by(&["delta"]).sparing(),
        unsigned("slow.plain.", "slow").held_by(&["delta"]).sparing(),
        signed("tcponly.example.", "tcponly").held_by(&["gamma"]),
        unsigned("tcponly.plain.", "tcponly").held_by(&["gamma"]),
        unsigned("noedns.plain.", "noedns").held_by(&["delta"]),
        signed("noedns.example.", "noedns").held_by(&["delta"]).all(Verdict::Bogus),
        signed("sixth.example.", "sixth"),
        unsigned("sixth.plain.", "sixth"),
        Zone::new("large.example.", "large").signed(Signer::Bind, Keys::Csk(8)).text(&large()),
        Zone::new("large.plain.", "large").text(&large()),
    ]
}

/// Answers that need TCP (RFC 7766 §5): one text of 4 KB, one of 40 KB, forty KB in many texts, and many small ones.
fn large() -> String {
    let string = |seed: usize, length: usize| -> String {
        (0..length).map(|at| char::from(b'a' + u8::try_from((seed + at) % 26).unwrap_or_default())).collect()
    };
    let strings = |count: usize| -> String {
        (0..count).fold(String::new(), |text, n| text + &format!(" \"{}\"", string(n, 250)))
    };
    let mut text = format!("four TXT{}\nforty TXT{}\n", strings(17), strings(160));
    for n in 0..160 {
        let _ = writeln!(text, "sheaf TXT \"{n} {}\"", string(n, 245));
    }
    for n in 0..200 {
        let _ = writeln!(text, "many TXT \"{n}\"");
    }
    for n in 0..120 {
        let _ = writeln!(text, "hosts A 203.0.113.{n}");
        let _ = writeln!(text, "@ MX {n} mx{n}.nowhere.example.");
    }
    text
}
