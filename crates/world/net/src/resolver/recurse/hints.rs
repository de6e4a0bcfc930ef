//! The addresses of the root servers, as IANA publishes them ("root hints"). They are needed to begin with; what the
//! root itself says (RFC 8109) takes their place.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use mailstead_dns::Name;

const fn v6(segments: [u16; 8]) -> Ipv6Addr {
    let [a, b, c, d, e, f, g, h] = segments;
    Ipv6Addr::new(a, b, c, d, e, f, g, h)
}

/// Letter, IPv4 and IPv6 address of each server under root-servers.net.
const SERVERS: [(u8, Ipv4Addr, Ipv6Addr); 13] = [
    (b'a', Ipv4Addr::new(198, 41, 0, 4), v6([0x2001, 0x503, 0xba3e, 0, 0, 0, 2, 0x30])),
    (b'b', Ipv4Addr::new(170, 247, 170, 2), v6([0x2801, 0x1b8, 0x10, 0, 0, 0, 0, 0xb])),
    (b'c', Ipv4Addr::new(192, 33, 4, 12), v6([0x2001, 0x500, 2, 0, 0, 0, 0, 0xc])),
    (b'd', Ipv4Addr::new(199, 7, 91, 13), v6([0x2001, 0x500, 0x2d, 0, 0, 0, 0, 0xd])),
    (b'e', Ipv4Addr::new(192, 203, 230, 10), v6([0x2001, 0x500, 0xa8, 0, 0, 0, 0, 0xe])),
    (b'f', Ipv4Addr::new(192, 5, 5, 241), v6([0x2001, 0x500, 0x2f, 0, 0, 0, 0, 0xf])),
    (b'g', Ipv4Addr::new(192, 112, 36, 4), v6([0x2001, 0x500, 0x12, 0, 0, 0, 0, 0xd0d])),
    (b'h', Ipv4Addr::new(198, 97, 190, 53), v6([0x2001, 0x500, 1, 0, 0, 0, 0, 0x53])),
    (b'i', Ipv4Addr::new(192, 36, 148, 17), v6([0x2001, 0x7fe, 0, 0, 0, 0, 0, 0x53])),
    (b'j', Ipv4Addr::new(192, 58, 128, 30), v6([0x2001, 0x503, 0xc27, 0, 0, 0, 2, 0x30])),
    (b'k', Ipv4Addr::new(193, 0, 14, 129), v6([0x2001, 0x7fd, 0, 0, 0, 0, 0, 1])),
    (b'l', Ipv4Addr::new(199, 7, 83, 42), v6([0x2001, 0x500, 0x9f, 0, 0, 0, 0, 0x42])),
    (b'm', Ipv4Addr::new(202, 12, 27, 33), v6([0x2001, 0xdc3, 0, 0, 0, 0, 0, 0x35])),
];

/// The root servers with their addresses.
pub(crate) fn root_hints() -> Vec<(Name, Vec<IpAddr>)> {
    let name = |letter: u8| Name::from_labels([[letter].as_slice(), b"root-servers", b"net"]);
    SERVERS
        .iter()
        .filter_map(|(letter, four, six)| Some((name(*letter)?, vec![IpAddr::V4(*four), IpAddr::V6(*six)])))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::AddressPolicy;

    #[test]
    fn thirteen_servers_with_public_addresses() {
        let hints = root_hints();
        assert_eq!(hints.len(), 13);
        assert_eq!(hints[1].0.to_string(), "b.root-servers.net.");
        assert_eq!(hints[1].1, ["170.247.170.2".parse::<IpAddr>().unwrap(), "2801:1b8:10::b".parse().unwrap()]);
        assert_eq!(hints[6].1[1], "2001:500:12::d0d".parse::<IpAddr>().unwrap());
        let mut addresses: Vec<_> = hints.into_iter().flat_map(|(_, addresses)| addresses).collect();
        assert!(addresses.iter().all(|address| AddressPolicy::Public.check(*address).is_ok()));
        addresses.sort();
        addresses.dedup();
        assert_eq!(addresses.len(), 26);
    }
}
