//! Resolving without validation, against name servers of the test's own on loopback.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use mailstead_dns::{
    Authenticity, Edns, Existence, ExtendedError, LookupErrorKind, Message, Mx, Name, Rcode, Record, RecordType,
    Resolver, RrSet, Soa, Target,
};
use mailstead_names::Domain;
use mailstead_net::resolver::{DnsMode, DnsOptions, DnsResolver, ResolvConf, Servers};
use mailstead_runtime::{Supervisor, SystemClock};
use mailstead_testkit::SeededRandom;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, UdpSocket};

fn name(text: &str) -> Name {
    Name::parse(text).unwrap()
}

fn set(owner: &str, ttl: u32, record: &Record) -> RrSet {
    RrSet {
        owner: name(owner),
        rtype: record.record_type().into(),
        ttl,
        data: vec![record.to_data().unwrap().into()],
        signatures: Vec::new(),
    }
}

/// What the test server says to a question.
fn reply(query: &Message, transport: &str) -> Vec<u8> {
    let asked = query.question.name.to_string();
    let mut message = query.clone();
    message.edns = None;
    message.flags.response = true;
    let alias = |from: &str, ttl, to: &str| set(from, ttl, &Record::Cname(Target::parse(to)));
    match asked.as_str() {
        "alias.example." => {
            message.answer = vec![
                alias("alias.example", 300, "Two.example"),
                alias("two.example", 60, "host.example"),
                set("host.example", 300, &Record::A([192, 0, 2, 9].into())),
                set("other.example", 300, &Record::A([192, 0, 2, 66].into())),
            ];
        }
        "loop.example." => message.answer = vec![alias("loop.example", 300, "loop.example")],
        "long.example." if transport == "udp" => message.flags.truncated = true,
        "long.example." => {
            let mx = Mx { preference: 10, exchange: Target::parse("mx.example") };
            message.answer = vec![set("long.example", 300, &Record::Mx(mx))];
        }
        "none.example." => {
            message.rcode = Rcode::NXDOMAIN;
            let target = |text| Target::parse(text);
            let soa = Soa {
                mname: target("ns.example"),
                rname: target("x.example"),
                serial: 1,
                refresh: 300,
                retry: 300,
                expire: 300,
                minimum: 30,
            };
            message.authority = vec![set("example", 300, &Record::Soa(soa))];
        }
        "broken.example." | "bogus.example." => {
            message.rcode = Rcode::SERVFAIL;
            let code = if asked == "bogus.example." { 6 } else { 22 };
            let extended_errors = vec![ExtendedError::new(code)];
            message.edns = Some(Edns { udp_size: 1232, dnssec_ok: false, extended_errors });
        }
        _ => {}
    }
    message.to_octets().unwrap()
}

/// A server on UDP and TCP; first of all it sends a forgery.
async fn serve() -> SocketAddr {
    let (udp, tcp) = loop {
        let udp = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        if let Ok(tcp) = TcpListener::bind(udp.local_addr().unwrap()).await {
            break (udp, tcp);
        }
    };
    let address = udp.local_addr().unwrap();
    tokio::spawn(async move {
        let mut buffer = [0; 512];
        loop {
            let (length, client) = udp.recv_from(&mut buffer).await.unwrap();
            let query = Message::parse(&buffer[..length]).unwrap();
            if query.question.name == name("silent.example") {
                continue;
            }
            let genuine = reply(&query, "udp");
            let mut forged = genuine.clone();
            forged[0] ^= 0xff;
            udp.send_to(&forged, client).await.unwrap();
            udp.send_to(&genuine, client).await.unwrap();
        }
    });
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = tcp.accept().await.unwrap();
            let mut octets = vec![0; stream.read_u16().await.unwrap().into()];
            stream.read_exact(&mut octets).await.unwrap();
            let reply = reply(&Message::parse(&octets).unwrap(), "tcp");
            stream.write_u16(reply.len().try_into().unwrap()).await.unwrap();
            stream.write_all(&reply).await.unwrap();
        }
    });
    address
}

fn resolver(conf: ResolvConf) -> DnsResolver {
    let options = DnsOptions { mode: DnsMode::Unvalidated, servers: Servers::Fixed(conf), ..DnsOptions::default() };
    DnsResolver::new(options, Arc::new(SystemClock), Arc::new(SeededRandom::new(1)), Supervisor::new()).unwrap()
}

#[tokio::test]
async fn answers_absence_and_failure() {
    let conf = ResolvConf { attempts: 1, ..ResolvConf::with_servers(vec![serve().await]) };
    let resolver = resolver(conf.clone());
    let domain = |text: &str| Domain::parse(text).unwrap();
    let resolve: &dyn Resolver = &resolver;

    let answer = resolve.records::<std::net::Ipv4Addr>(&domain("alias.example")).await.unwrap();
    assert_eq!(answer.records.iter().copied().map(IpAddr::V4).collect::<Vec<_>>(), [IpAddr::from([192, 0, 2, 9])]);
    assert_eq!(answer.authenticity(), Authenticity::Insecure);
    assert_eq!(answer.chain.len(), 2);
    assert_eq!(answer.final_name(&domain("alias.example")).as_ascii(), "host.example");
    assert_eq!(answer.ttl, Duration::from_secs(60), "the shortest on the way");

    let answer = resolve.lookup(&domain("none.example"), RecordType::Mx).await.unwrap();
    assert_eq!((answer.existence, answer.ttl), (Existence::NxDomain, Duration::from_secs(30)));
    let answer = resolve.lookup(&domain("empty.example"), RecordType::Mx).await.unwrap();
    assert_eq!((answer.existence, answer.ttl), (Existence::NoData, Duration::ZERO));

    let answer = resolve.lookup(&domain("long.example"), RecordType::Mx).await.unwrap();
    assert_eq!(answer.records.len(), 1, "over TCP");

    let error = resolve.lookup(&domain("broken.example"), RecordType::Mx).await.unwrap_err();
    assert_eq!(error.kind, LookupErrorKind::ServerFailure);
    assert_eq!(error.extended_errors[0].code, 22);
    let error = resolve.lookup(&domain("bogus.example"), RecordType::Mx).await.unwrap_err();
    assert_eq!(error.kind, LookupErrorKind::Bogus, "the resolver has validated");
    let error = resolve.lookup(&domain("loop.example"), RecordType::A).await.unwrap_err();
    assert_eq!(error.kind, LookupErrorKind::AliasLoop);
}

#[tokio::test]
async fn patience_ends() {
    let conf =
        ResolvConf { timeout: Duration::from_millis(50), attempts: 1, ..ResolvConf::with_servers(vec![serve().await]) };
    let error = resolver(conf).lookup(&Domain::parse("silent.example").unwrap(), RecordType::A).await.unwrap_err();
    assert_eq!(error.kind, LookupErrorKind::Timeout);
    assert!(error.detail.contains("127.0.0.1 timed out"), "{error}");
}

#[tokio::test]
async fn what_is_known_is_not_asked_again() {
    let resolver = resolver(ResolvConf::with_servers(vec![serve().await]));
    let ask = async |name: &str| {
        resolver.lookup(&Domain::parse(name).unwrap(), RecordType::A).await.unwrap();
        let statistics = resolver.statistics();
        (statistics.udp_queries, statistics.cache_hits)
    };
    assert_eq!(ask("alias.example").await, (1, 0));
    assert_eq!(ask("alias.example").await, (1, 3));
    // The middle of the chain is known as well, and so is its end.
    assert_eq!(ask("two.example").await, (1, 5));
    // Absence without SOA is not to be kept.
    assert_eq!(ask("empty.example").await.0, 2);
    assert_eq!(ask("empty.example").await.0, 3);
    resolver.reset();
    assert_eq!(ask("alias.example").await.0, 4);
}
