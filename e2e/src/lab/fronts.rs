//! The authorities that are not quite a server: proxies before one, and sockets that nobody reads.

use std::net::{IpAddr, SocketAddr, TcpListener, UdpSocket};
use std::time::Duration;

use super::proxy::{Course, Meddler, Proxy, Via};
use super::stripper::without;
use super::wire::{Message, Type};
use super::world::{Kind, Manner, World};

/// One of them.
#[derive(Debug)]
pub(crate) enum Front {
    /// Passes on what it gets, in its manner.
    Proxy { _proxy: Proxy },
    /// Takes queries and says nothing. Connections are taken by the system.
    Silent { _sockets: (UdpSocket, TcpListener) },
}

pub(crate) fn start(world: &World) -> Vec<Front> {
    let mut fronts = Vec::new();
    for authority in &world.authorities {
        let addresses = authority.addresses.iter().copied();
        match authority.kind {
            Kind::Front(behind, manner) => {
                let server = SocketAddr::new(world.authority(behind).addresses[0], 53);
                fronts.extend(
                    addresses.map(|address| Front::Proxy { _proxy: Proxy::start(address, server, Mannered(manner)) }),
                );
            }
            Kind::Silent => fronts.extend(addresses.map(silent)),
            _ => {}
        }
    }
    fronts
}

fn silent(address: IpAddr) -> Front {
    let datagrams = UdpSocket::bind((address, 53)).expect("a socket");
    Front::Silent { _sockets: (datagrams, TcpListener::bind((address, 53)).expect("a socket")) }
}

struct Mannered(Manner);

impl Meddler for Mannered {
    fn query(&self, query: &mut Vec<u8>, via: Via) -> Course {
        let Some(mut message) = Message::read(query) else { return Course::Silence };
        match self.0 {
            Manner::TcpOnly if via == Via::Udp => {
                message.flags |= Message::QR | Message::TC;
                Course::Answer(message.octets())
            }
            Manner::NoEdns if message.opt().is_some() => {
                message.flags |= Message::QR | 1;
                message.sections[2].clear();
                Course::Answer(message.octets())
            }
            Manner::Replaying => {
                rename(query, b"\x05taken", b"\x05frees");
                rename(query, b"\x05exist", b"\x05absen");
                Course::Forward
            }
            _ => Course::Forward,
        }
    }

    fn response(&self, response: &mut Vec<u8>, query: &[u8], _: Via) {
        match self.0 {
            Manner::Slow => std::thread::sleep(Duration::from_millis(800)),
            Manner::Denyless => {
                if let Some(message) = Message::read(response) {
                    *response = without(message, &[Type::NSEC, Type::NSEC3]).octets();
                }
            }
            Manner::Replaying => {
                // Only what was renamed: the letters may also be in a signature.
                let asked = |label: &[u8]| query.windows(label.len()).any(|part| part.eq_ignore_ascii_case(label));
                if asked(b"\x05taken") {
                    rename(response, b"\x05frees", b"\x05taken");
                }
                if asked(b"\x05exist") {
                    rename(response, b"\x05absen", b"\x05exist");
                }
            }
            Manner::TcpOnly | Manner::NoEdns => {}
        }
    }
}

/// Replaces a label by another of the same length, in any case of letters.
fn rename(octets: &mut [u8], from: &[u8], to: &[u8]) {
    for at in 0..octets.len().saturating_sub(from.len()) {
        if octets[at..at + from.len()].eq_ignore_ascii_case(from) {
            octets[at..at + from.len()].copy_from_slice(to);
        }
    }
}
