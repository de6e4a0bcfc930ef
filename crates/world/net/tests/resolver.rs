//! The plain resolver against name servers of the test's own on loopback.

use std::net::{IpAddr, SocketAddr};
use std::str::FromStr as _;
use std::sync::Arc;
use std::time::Duration;

use domain::base::iana::{ExtendedErrorCode, Rcode};
use domain::base::message_builder::MessageBuilder;
use domain::base::name::Name;
use domain::base::opt::ExtendedError;
use domain::base::{Message, Ttl};
use domain::rdata::{A, Cname, Mx, Soa};
use mailstead_dns::{Authenticity, Existence, LookupErrorKind, RecordType, Resolver};
use mailstead_names::Domain;
use mailstead_net::{PlainResolver, ResolvConf};
use mailstead_testkit::SeededRandom;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, UdpSocket};

type Dname = Name<Vec<u8>>;

fn name(text: &str) -> Dname {
    Name::from_str(text).unwrap()
}

/// What the test server says to a question.
fn reply(query: &Message<Vec<u8>>, transport: &str) -> Vec<u8> {
    let question = query.sole_question().unwrap();
    let asked = question.qname().to_string();
    let rcode = match asked.as_str() {
        "none.example" => Rcode::NXDOMAIN,
        "broken.example" => Rcode::SERVFAIL,
        _ => Rcode::NOERROR,
    };
    let mut answer = MessageBuilder::new_vec().start_answer(query, rcode).unwrap();
    answer.header_mut().set_tc(transport == "udp" && asked == "long.example");
    let ttl = Ttl::from_secs(300);
    match asked.as_str() {
        "alias.example" => {
            answer.push((name("alias.example"), ttl, Cname::new(name("Two.example")))).unwrap();
            answer.push((name("two.example"), Ttl::from_secs(60), Cname::new(name("host.example")))).unwrap();
            answer.push((name("host.example"), ttl, A::new([192, 0, 2, 9].into()))).unwrap();
            answer.push((name("other.example"), ttl, A::new([192, 0, 2, 66].into()))).unwrap();
        }
        "loop.example" => {
            answer.push((name("loop.example"), ttl, Cname::new(name("loop.example")))).unwrap();
        }
        "long.example" if transport == "tcp" => {
            answer.push((name("long.example"), ttl, Mx::new(10, name("mx.example")))).unwrap();
        }
        _ => {}
    }
    let mut authority = answer.authority();
    if asked == "none.example" {
        let soa = Soa::new(name("ns.example"), name("x.example"), 1.into(), ttl, ttl, ttl, Ttl::from_secs(30));
        authority.push((name("example"), ttl, soa)).unwrap();
    }
    let mut additional = authority.additional();
    if asked == "broken.example" {
        let error: ExtendedError<Vec<u8>> = ExtendedErrorCode::DNSSEC_BOGUS.into();
        additional.opt(|options| options.push(&error)).unwrap();
    }
    additional.finish()
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
            let query = Message::from_octets(buffer[..length].to_vec()).unwrap();
            if query.sole_question().unwrap().qname().to_string() == "silent.example" {
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
            let reply = reply(&Message::from_octets(octets).unwrap(), "tcp");
            stream.write_u16(reply.len().try_into().unwrap()).await.unwrap();
            stream.write_all(&reply).await.unwrap();
        }
    });
    address
}

#[tokio::test]
async fn answers_absence_and_failure() {
    let conf = ResolvConf { nameservers: vec![serve().await], timeout: Duration::from_secs(5), attempts: 1 };
    let resolver = PlainResolver::new(conf.clone(), Arc::new(SeededRandom::new(1)));
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
    assert_eq!(error.extended_errors[0].code, 6);
    let error = resolve.lookup(&domain("loop.example"), RecordType::A).await.unwrap_err();
    assert_eq!(error.kind, LookupErrorKind::AliasLoop);

    let impatient = ResolvConf { timeout: Duration::from_millis(50), ..conf };
    let resolver = PlainResolver::new(impatient, Arc::new(SeededRandom::new(2)));
    let error = resolver.lookup(&domain("silent.example"), RecordType::A).await.unwrap_err();
    assert_eq!(error.kind, LookupErrorKind::Timeout);
}
