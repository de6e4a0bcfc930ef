//! Resolvers and networks that stand in the way of DNSSEC: what `mailstead dns lookup` does about them, and what it says.

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};
use std::process::Command;
use std::time::Duration;

use mailstead_e2e::lab::{Cell, Lab, Message, Name, Proxy, Resolver, Sight, Stripper, Type, Via, ask, inside};
use mailstead_e2e::{Ran, binary, run, run_with_input};
use serde_json::Value;

const STRIPPERS: [Stripper; 5] =
    [Stripper::Everything, Stripper::Signatures, Stripper::Ds, Stripper::Edns, Stripper::Refusal];

/// A lab with few zones, which starts fast.
fn small() -> Lab {
    Lab::start_with(|world| world.keep(&["nsec.example.", "nsec3.test.", "unsigned.example.", "signed.test."]))
}

/// Looks names up with nothing configured but `/etc/resolv.conf`; in a cell where there is one.
fn look_up(lab: &Lab, cell: Option<&Cell>, questions: &[&str]) -> (Vec<Value>, Ran) {
    let mut command = cell.map_or_else(|| Command::new(binary()), |cell| cell.command(binary()));
    command.args(["dns", "lookup", "--batch", "-", "--json", "--root-hints"]).arg(lab.root_hints());
    command.arg("--trust-anchor").arg(lab.trust_anchor());
    let ran = run_with_input(&mut command, &(questions.join("\n") + "\n"));
    let lines =
        ran.out.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}")));
    let lines: Vec<Value> = lines.collect();
    assert_eq!(lines.len(), questions.len(), "{ran:?}");
    (lines, ran)
}

const SECURE: &[&str] =
    &["MX nsec.example", "TLSA _25._tcp.mx.nsec3.test", "A nowhere.nsec.example", "A www.signed.test"];

#[track_caller]
fn all_secure(lines: &[Value], ran: &Ran) {
    for line in lines {
        assert_eq!(line["status"], "secure", "{line}\n{}", ran.err);
    }
}

/// The tools of this file do what they say.
#[test]
fn lab_self_test() {
    inside("lab_self_test", || {
        let lab = small();
        let plain = lab.resolver(Resolver::Plain);
        let query = |server: SocketAddr, rtype| {
            let query = Message::query(7, &Name::of("nsec.example"), rtype, Message::RD);
            ask(server, &query, Via::Udp, Duration::from_secs(10)).expect("an answer")
        };
        let count = |message: &Message, rtype| message.sections[0].iter().filter(|r| r.rtype == rtype).count();
        assert_eq!(query(plain, Type::DS).flags & Message::AD, 0);
        assert_eq!(query(lab.oracle().address(), Type::DS).flags & Message::AD, Message::AD);
        for (number, stripper) in (100..).zip(STRIPPERS) {
            let proxy = Proxy::start(lab.address(number), lab.oracle().address(), stripper);
            let (ds, keys) = (query(proxy.address(), Type::DS), query(proxy.address(), Type::DNSKEY));
            let seen = (count(&ds, Type::DS), count(&ds, Type::RRSIG), count(&keys, Type::DNSKEY), ds.code());
            let meant = match stripper {
                Stripper::Everything => (0, 0, 0, 0),
                Stripper::Signatures => (1, 0, 1, 0),
                Stripper::Ds => (0, 0, 1, 0),
                Stripper::Edns => (1, 0, 1, 0),
                Stripper::Refusal => (0, 0, 0, 2),
            };
            assert_eq!(seen, meant, "{stripper:?}");
            assert_eq!(ds.opt().is_some(), stripper != Stripper::Edns, "{stripper:?}");
        }
        let tampering = Proxy::tampering(lab.address(110), plain, |response, _| {
            response[3] ^= 5;
        });
        assert_eq!(query(tampering.address(), Type::SOA).code(), 5);

        let seen = |cell: &Cell, server: IpAddr| {
            // Two seconds are much for a network within one machine, and little for a program that tries five times.
            let drill = &mut cell.command("timeout");
            let ran = run(drill.args(["2", "drill", "nsec.example", "SOA", &format!("@{server}")]));
            ran.out.contains("rcode: NOERROR")
        };
        let authorities = &lab.world().authority("alpha").addresses;
        for (sight, meant) in
            [(Sight::Everything, true), (Sight::NoAuthorities, false), (Sight::UnreachableAuthorities, false)]
        {
            let cell = lab.cell(sight);
            assert!(seen(&cell, lab.oracle().address().ip()), "{sight:?}");
            for authority in authorities {
                assert_eq!(seen(&cell, *authority), meant, "{sight:?} of {authority}");
            }
        }
    });
}

#[test]
fn an_honest_resolver_is_used() {
    inside("an_honest_resolver_is_used", || {
        let lab = small();
        let cell = lab.cell(Sight::NoAuthorities);
        for server in [lab.oracle().address(), lab.resolver(Resolver::Plain)] {
            lab.resolv_conf(&[server.ip()]);
            let (lines, ran) = look_up(&lab, Some(&cell), SECURE);
            all_secure(&lines, &ran);
            assert!(lines.iter().all(|line| line["mode"] == "validate"), "{lines:?}");
            assert!(!ran.err.contains("DNSSEC"), "{}", ran.err);
        }
    });
}

#[test]
fn a_resolver_that_strips_is_passed_by() {
    inside("a_resolver_that_strips_is_passed_by", || {
        let lab = small();
        for (number, stripper) in (100..).zip(STRIPPERS) {
            let proxy = Proxy::start(lab.address(number), lab.oracle().address(), stripper);
            lab.resolv_conf(&[proxy.address().ip()]);
            let (lines, ran) = look_up(&lab, None, SECURE);
            all_secure(&lines, &ran);
            assert!(lines.iter().all(|line| line["mode"] == "recurse"), "{stripper:?}: {lines:?}");
            assert!(ran.err.contains("DNSSEC"), "{stripper:?}: {}", ran.err);
        }
    });
}

#[test]
fn with_no_way_at_all_there_is_one_cause() {
    inside("with_no_way_at_all_there_is_one_cause", || {
        let lab = small();
        for sight in [Sight::NoAuthorities, Sight::UnreachableAuthorities] {
            let cell = lab.cell(sight);
            for (number, stripper) in (100..).zip(STRIPPERS) {
                let proxy = Proxy::start(lab.address(number), lab.oracle().address(), stripper);
                lab.resolv_conf(&[proxy.address().ip()]);
                let (lines, ran) = look_up(&lab, Some(&cell), SECURE);
                let causes: BTreeSet<&str> = lines.iter().filter_map(|line| line["error"]["kind"].as_str()).collect();
                assert_eq!(causes.len(), 1, "{sight:?} {stripper:?}: {lines:?}");
                for line in &lines {
                    assert_eq!(line["status"], "error", "{sight:?} {stripper:?}: {line}");
                    let detail = line["error"]["detail"].as_str().unwrap_or_default();
                    assert!(detail.contains("DNSSEC"), "{sight:?} {stripper:?}: {line}\n{}", ran.err);
                }
            }
        }
    });
}
