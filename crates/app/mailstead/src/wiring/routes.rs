//! The routes and transports of the configuration, as the queue knows them.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::Path;
use std::sync::Arc;

use mailstead_config::{
    AddressFamily, Config, HopSecurity, Login, NextHop as Hop, Role, Socks, Transport as Configured,
};
use mailstead_dns::Resolver;
use mailstead_names::Host;
use mailstead_net::tls::{roots_from_file, system_roots};
use mailstead_net::{AddressPolicy, DirectDialer, Proxy, SocksDialer, SocksLogin};
use mailstead_queue::{
    Direct, Families, NextHop, OutgoingTls, ProxyPassage, Route, RouteSecurity, Routes, Transport, TransportKind,
};
use mailstead_sasl::client::Credentials;
use mailstead_store::{Account, AccountId};
use rustls::RootCertStore;

use crate::binding::Service;
use crate::failure::Failure;

/// Where mail goes that is not for us. `accounts` are those in the store, `services` are where this server itself can be
/// reached.
pub(super) fn routes(
    config: &Config,
    accounts: &[Account],
    services: &[Service],
    resolver: &Arc<dyn Resolver>,
) -> Result<Routes, Failure> {
    let mut transports = HashMap::new();
    for (name, configured) in &config.routing.transports {
        let kind = match configured {
            Configured::Relay(hop) => TransportKind::Relay(next_hop(hop, config)?),
            Configured::Direct(family) => TransportKind::Direct(Direct { families: families(*family), proxy: None }),
            Configured::Socks(socks) => TransportKind::Direct(Direct {
                families: families(socks.family),
                proxy: Some(passage(socks, config, services, resolver)?),
            }),
            Configured::Fail(fail) => TransportKind::refusal(fail.code, &fail.text),
        };
        transports.insert(name.as_str(), Arc::new(Transport { name: Some(name.clone()), kind }));
    }
    let route = |route: &mailstead_config::Route| {
        let transport = transports.get(route.transport.as_str());
        let transport = transport.ok_or_else(|| Failure::new(format!("there is no transport {}", route.transport)))?;
        let is_named = |account: &&Account| route.accounts.iter().any(|name| name.as_str() == account.name());
        let submitters: Vec<AccountId> = accounts.iter().filter(is_named).map(Account::id).collect();
        Ok(Route {
            submitters,
            from: route.from.clone(),
            to: route.to.clone(),
            minimum_attempts: route.minimum_attempts,
            transport: Arc::clone(transport),
        })
    };
    let routes = config.routing.routes.iter().map(route).collect::<Result<_, Failure>>()?;
    Ok(Routes { routes, otherwise: Arc::new(otherwise(config, services)?.into()) })
}

/// What is done with mail that no route matches.
fn otherwise(config: &Config, services: &[Service]) -> Result<TransportKind, Failure> {
    if let Some(hop) = &config.queue.next_hop {
        return Ok(TransportKind::Relay(next_hop(hop, config)?));
    }
    if config.sandbox.is_none() {
        return Ok(TransportKind::Direct(Direct::default()));
    }
    // In a sandbox all mail comes back to ourselves, by SMTP as to anybody.
    let own = own_smtp(services);
    let ours = |address: SocketAddr| NextHop {
        host: Host::Ip(from_here(address.ip())),
        port: address.port(),
        security: RouteSecurity::Opportunistic,
        tls: None,
        credentials: None,
    };
    Ok(own.map_or_else(
        || TransportKind::refusal(550, "There is no route to other servers"),
        |address| TransportKind::Relay(ours(address)),
    ))
}

/// Where this machine reaches what listens there: everywhere is nowhere to connect to.
fn from_here(listened: IpAddr) -> IpAddr {
    match listened {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    }
}

fn next_hop(hop: &Hop, config: &Config) -> Result<NextHop, Failure> {
    let tls = hop.ca_file.as_ref().map(|file| roots(config, Some(file))).transpose()?;
    Ok(NextHop {
        host: hop.place.host.clone(),
        port: hop.place.port,
        security: match hop.security {
            HopSecurity::Opportunistic => RouteSecurity::Opportunistic,
            HopSecurity::StartTls => RouteSecurity::StartTls,
            HopSecurity::Implicit => RouteSecurity::Implicit,
            HopSecurity::Plaintext => RouteSecurity::Plaintext,
        },
        tls: tls.map(|roots| OutgoingTls::new(Arc::new(roots))),
        credentials: hop.login.clone().map(|Login { username, password }| Credentials {
            authzid: None,
            authcid: username,
            password,
        }),
    })
}

fn families(family: AddressFamily) -> Families {
    match family {
        AddressFamily::Any => Families::Both,
        AddressFamily::Ipv4 => Families::Ipv4,
        AddressFamily::Ipv6 => Families::Ipv6,
    }
}

fn passage(
    socks: &Socks,
    config: &Config,
    services: &[Service],
    resolver: &Arc<dyn Resolver>,
) -> Result<ProxyPassage, Failure> {
    let login = socks.login.clone().map(|Login { username, password }| {
        SocksLogin::new(username, password)
            .ok_or_else(|| Failure::new("the user name and password for a proxy have 1 to 255 octets".to_owned()))
    });
    let proxy = Proxy { host: socks.proxy.host.clone(), port: socks.proxy.port, login: login.transpose()? };
    // The operator chose the proxy; whom it connects to, senders choose.
    let to_proxy = Arc::new(DirectDialer::new(address_policy(config, services, AddressPolicy::Any)));
    let policy = address_policy(config, services, AddressPolicy::Public);
    let dialer = Arc::new(SocksDialer::new(proxy, to_proxy, Arc::clone(resolver), policy));
    Ok(ProxyPassage { dialer, hostname: socks.hostname.clone() })
}

/// A sandbox never leaves the machine.
pub(super) fn address_policy(config: &Config, services: &[Service], otherwise: AddressPolicy) -> AddressPolicy {
    let own = || own_smtp(services).map(|address| from_here(address.ip()));
    if config.sandbox.is_some() { AddressPolicy::ThisMachine(own()) } else { otherwise }
}

/// Where other servers come to.
fn own_smtp(services: &[Service]) -> Option<SocketAddr> {
    services.iter().find(|service| service.role == Role::Smtp).map(|service| service.address)
}

/// Whom to believe who a server is: those in the file, or the system's, and the operator's own.
pub(super) fn roots(config: &Config, file: Option<&Path>) -> Result<RootCertStore, Failure> {
    let mut roots = file.map_or_else(|| Ok(system_roots()), roots_from_file)?;
    if let Some(file) = &config.queue.extra_ca_file {
        roots.extend(roots_from_file(file)?.roots);
    }
    Ok(roots)
}

#[cfg(test)]
mod tests {
    use mailstead_names::ReversePath;
    use mailstead_queue::Passage;
    use mailstead_runtime::Deadline;
    use mailstead_testkit::Zones;

    use super::*;

    const BASE: &str = "hostname = \"mail.example.org\"\ndata-directory = \"data\"\n[[listener]]\n\
         addresses = \"127.0.0.1\"\nsmtp = 25\n";

    fn wired(more: &str) -> Result<Routes, Failure> {
        let config = Config::parse(&format!("{BASE}{more}"), Path::new("/nowhere/mailstead.toml")).unwrap();
        let services = [Service { role: Role::Smtp, address: "127.0.0.1:2525".parse().unwrap() }];
        let resolver: Arc<dyn Resolver> = Arc::new(Zones::new());
        routes(&config, &[], &services, &resolver)
    }

    fn chosen(routes: &Routes, recipient: &str) -> Arc<Transport> {
        let recipient = mailstead_names::Address::parse(recipient).unwrap();
        let passage = Passage { submitter: None, sender: &ReversePath::Null, recipient: &recipient, attempts: 0 };
        Arc::clone(routes.choose(passage))
    }

    #[test]
    fn without_routes_as_the_queue_says() {
        let otherwise = |more: &str| chosen(&wired(more).unwrap(), "a@other.example").kind.clone();
        let TransportKind::Direct(direct) = otherwise("") else { panic!("not direct") };
        assert!(direct.proxy.is_none() && direct.families == Families::Both);
        let hop = |kind| match kind {
            TransportKind::Relay(hop) => (hop.host.to_string(), hop.port, hop.security),
            other => panic!("{other:?}"),
        };
        let relay = "[queue]\nnext-hop = \"smtp.example.net:587\"\nsecurity = \"starttls\"\n";
        assert_eq!(hop(otherwise(relay)), ("smtp.example.net".into(), 587, RouteSecurity::StartTls));
        // A sandbox sends to itself.
        let sandbox = "[sandbox]\naccount = \"you\"\n[accounts.you]\n";
        assert_eq!(hop(otherwise(sandbox)), ("[127.0.0.1]".into(), 2525, RouteSecurity::Opportunistic));
    }

    #[test]
    fn a_sandbox_reaches_itself_wherever_it_listens() {
        let reached = ["0.0.0.0", "::", "192.0.2.1"].map(|ip| from_here(ip.parse().unwrap()).to_string());
        assert_eq!(reached, ["127.0.0.1", "::1", "192.0.2.1"]);
        // And may connect there, and to nobody else.
        let sandbox = Config::parse(
            &format!("{BASE}[sandbox]\naccount = \"you\"\n[accounts.you]\n"),
            Path::new("/nowhere/mailstead.toml"),
        );
        let services = [Service { role: Role::Smtp, address: "192.0.2.1:2525".parse().unwrap() }];
        let policy = address_policy(&sandbox.unwrap(), &services, AddressPolicy::Any);
        assert!(policy.check([192, 0, 2, 1].into()).is_ok() && policy.check([192, 0, 2, 2].into()).is_err());
    }

    #[test]
    fn routes_that_name_one_transport_share_it() {
        let routes = wired(
            "[transports.old]\nkind = \"direct\"\naddress-family = \"ipv4\"\n\
             [transports.no]\nkind = \"fail\"\ncode = 451\n\
             [[route]]\ntransport = \"old\"\nto = \"one.example\"\n\
             [[route]]\ntransport = \"no\"\nto = \"two.example\"\n\
             [[route]]\ntransport = \"old\"\nto = \".three.example\"\n",
        )
        .unwrap();
        let old = chosen(&routes, "a@one.example");
        assert_eq!(old.name.as_deref(), Some("old"));
        assert!(matches!(&old.kind, TransportKind::Direct(direct) if direct.families == Families::Ipv4));
        assert!(Arc::ptr_eq(&old, &chosen(&routes, "a@sub.three.example")));
        let no = chosen(&routes, "a@two.example");
        assert!(matches!(&no.kind, TransportKind::Fail(reply) if reply.code == 451));
        assert_eq!(chosen(&routes, "a@four.example").name, None);
    }

    #[test]
    fn certificates_that_cannot_be_read_are_named() {
        let relay = "[transports.a]\nkind = \"relay\"\nnext-hop = \"h.example:465\"\nca-file = \"missing.pem\"\n";
        let failure = wired(relay).unwrap_err().to_string();
        assert!(failure.contains("/nowhere/missing.pem"), "{failure}");
    }

    /// Through a proxy on this machine the whole world could be reached.
    #[tokio::test]
    async fn a_sandbox_asks_no_proxy_for_others() {
        let socks = "[transports.exit]\nkind = \"socks\"\nproxy = \"127.0.0.1:1\"\nhostname = \"exit.example\"\n\
             [[route]]\ntransport = \"exit\"\n";
        let sandbox = "[sandbox]\naccount = \"you\"\n[accounts.you]\n";
        for (more, target, is_forbidden) in
            [("", "8.8.8.8:25", false), ("", "127.0.0.1:25", true), (sandbox, "8.8.8.8:25", true)]
        {
            let transport = chosen(&wired(&format!("{socks}{more}")).unwrap(), "a@other.example");
            let TransportKind::Direct(Direct { proxy: Some(passage), .. }) = &transport.kind else {
                panic!("no proxy")
            };
            assert_eq!(passage.hostname.as_ref().map(mailstead_names::Domain::as_ascii), Some("exit.example"));
            let target: SocketAddr = target.parse().unwrap();
            // Nobody listens at the proxy's port.
            let error = passage.dialer.dial(target.into(), Deadline::NEVER).await.unwrap_err();
            assert_eq!(matches!(error, mailstead_net::Error::ForbiddenAddress(..)), is_forbidden, "{error}");
        }
    }
}
