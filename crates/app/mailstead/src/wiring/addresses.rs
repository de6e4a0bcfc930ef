//! The addresses of this server, as the queue needs them: to know itself among the servers of a domain, and to come from
//! where others expect it.

use std::net::IpAddr;

use mailstead_config::Role;
use nix::ifaddrs::getifaddrs;

use crate::binding::Service;

/// Where mail from others is taken: the addresses listened at or, where that is every one, those of the machine.
pub(super) fn own(services: &[Service]) -> Vec<IpAddr> {
    let mut own = Vec::new();
    for listened in taking_mail(services) {
        if listened.is_unspecified() {
            // The unspecified address of IPv6 stands for both families where the system has it so; more than there is
            // does no harm.
            own.extend(of_the_machine().filter(|ip| listened.is_ipv6() || ip.is_ipv4()));
        } else {
            own.push(listened);
        }
    }
    own.sort();
    own.dedup();
    own
}

/// Where connections to other servers come from: addresses that were chosen to be listened at, one for each family. Their
/// names, and what others publish about them, are those of the server.
pub(super) fn sources(services: &[Service]) -> Vec<IpAddr> {
    let chosen = || taking_mail(services).filter(|ip| !ip.is_unspecified() && !ip.is_loopback());
    [chosen().find(IpAddr::is_ipv6), chosen().find(IpAddr::is_ipv4)].into_iter().flatten().collect()
}

fn taking_mail(services: &[Service]) -> impl Iterator<Item = IpAddr> {
    services.iter().filter(|service| service.role == Role::Smtp).map(|service| service.address.ip())
}

/// None where the system does not say.
fn of_the_machine() -> impl Iterator<Item = IpAddr> {
    let interfaces = getifaddrs().into_iter().flatten();
    interfaces.filter_map(|interface| interface.address).filter_map(|address| {
        let v4 = address.as_sockaddr_in().map(|address| IpAddr::V4(address.ip()));
        v4.or_else(|| address.as_sockaddr_in6().map(|address| IpAddr::V6(address.ip())))
    })
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use super::*;

    fn services(addresses: &[(Role, &str)]) -> Vec<Service> {
        let service = |(role, address): &(Role, &str)| Service {
            role: *role,
            address: SocketAddr::new(address.parse().unwrap(), 25),
        };
        addresses.iter().map(service).collect()
    }

    #[test]
    fn chosen_addresses() {
        let listening = services(&[
            (Role::Smtp, "127.0.0.1"),
            (Role::Smtp, "192.0.2.1"),
            (Role::Smtp, "192.0.2.2"),
            (Role::Smtp, "2001:db8::1"),
            (Role::Imaps, "192.0.2.3"),
        ]);
        let texts = |ips: Vec<IpAddr>| ips.iter().map(ToString::to_string).collect::<Vec<_>>();
        assert_eq!(texts(own(&listening)), ["127.0.0.1", "192.0.2.1", "192.0.2.2", "2001:db8::1"]);
        assert_eq!(texts(sources(&listening)), ["2001:db8::1", "192.0.2.1"]);
    }

    #[test]
    fn every_address() {
        let listening = services(&[(Role::Smtp, "0.0.0.0")]);
        assert!(own(&listening).contains(&IpAddr::from([127, 0, 0, 1])));
        assert!(own(&listening).iter().all(IpAddr::is_ipv4));
        assert!(sources(&listening).is_empty());
    }
}
