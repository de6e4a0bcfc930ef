//! The zones that are asked about, on the servers of the end-to-end lab: a large one signed with ECDSA P-256, with hosts
//! and with TLSA records behind aliases, and one signed with RSA.

use std::fmt::Write as _;

use mailstead_dns::RecordType;
use mailstead_e2e::lab::{Keys, Lab, Signer, Zone};
use mailstead_names::Domain;

use crate::Options;

/// Of twenty look-ups, those in the zone signed with RSA, and those of TLSA records by an alias.
const RSA: usize = 3;
const TLSA: usize = 3;

/// A name and a type to look up.
#[derive(Debug, Clone)]
pub(crate) struct Question {
    pub(crate) name: Domain,
    pub(crate) record_type: RecordType,
}

/// The running lab and what can be asked.
#[derive(Debug)]
pub(crate) struct Zones {
    pub(crate) lab: Lab,
    /// Of all kinds, mixed.
    pub(crate) mixed: Vec<Question>,
    /// Hosts with an address in the zone signed with P-256, none of which are in `mixed`.
    pub(crate) hosts: Vec<Question>,
}

fn host(number: usize) -> String {
    // 25 octets with the zone's name on the wire.
    format!("host{number:06}.p256.example")
}

impl Zones {
    /// Signs the zones and starts the servers.
    pub(crate) fn start(options: &Options) -> Zones {
        let (mut p256, mut rsa) = (String::new(), String::new());
        let (mut mixed, mut hosts) = (Vec::new(), Vec::new());
        let question = |name: &str, record_type| {
            let name = Domain::parse_lenient(name).expect("a name made of letters and digits");
            Question { name, record_type }
        };
        // Writing to a string cannot fail.
        for number in 0..options.names {
            let address = address(number);
            match number % 20 {
                0..RSA => {
                    let _ = writeln!(rsa, "host{number:06} A {address}");
                    mixed.push(question(&format!("host{number:06}.rsa.example"), RecordType::A));
                }
                RSA.. if number % 20 < RSA + TLSA => {
                    let _ = writeln!(
                        p256,
                        "mx{number:06} A {address}\n_25._tcp.mx{number:06} CNAME tlsa{number:06}\n\
                         tlsa{number:06} TLSA 3 1 1 {number:064x}"
                    );
                    mixed.push(question(&format!("_25._tcp.mx{number:06}.p256.example"), RecordType::Tlsa));
                }
                _ => {
                    let _ = writeln!(p256, "host{number:06} A {address}");
                    mixed.push(question(&host(number), RecordType::A));
                }
            }
        }
        for number in options.names..options.names + options.cached {
            let _ = writeln!(p256, "host{number:06} A {}", address(number));
            hosts.push(question(&host(number), RecordType::A));
        }
        let lab = Lab::start_with(|world| {
            world.keep(&["example."]);
            world.zones.push(Zone::new("p256.example.", "alpha").signed(Signer::Ldns, Keys::Csk(13)).text(&p256));
            world.zones.push(Zone::new("rsa.example.", "gamma").signed(Signer::Ldns, Keys::Split(8)).text(&rsa));
        });
        Zones { lab, mixed, hosts }
    }
}

fn address(number: usize) -> String {
    format!("203.0.{}.{}", number / 256 % 256, number % 256)
}
