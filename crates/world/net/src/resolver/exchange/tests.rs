//! Against servers on sockets of the loopback interface, on whatever ports are free.

use std::collections::HashSet;
use std::sync::Mutex;
use std::time::Duration;

use mailstead_dns::{Edns, Name, RrSet, Rtype};
use mailstead_runtime::SystemRandom;
use tokio::net::TcpListener;

use super::*;

/// What a server sends upon a query: any number of datagrams, or the one message over TCP.
type Script = Arc<dyn Fn(&[u8]) -> Vec<Vec<u8>> + Send + Sync>;

/// A query over UDP and the port that it came from.
type FromPort = (u16, Vec<u8>);

/// A server with a script for each transport.
struct Server {
    address: SocketAddr,
    over_udp: Arc<Mutex<Vec<FromPort>>>,
    over_tcp: Arc<Mutex<Vec<Vec<u8>>>>,
}

impl Server {
    async fn start(udp: Script, tcp: Script) -> Server {
        // The port must be free for both.
        let (listener, socket) = loop {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            if let Ok(socket) = UdpSocket::bind(listener.local_addr().unwrap()).await {
                break (listener, socket);
            }
        };
        let address = socket.local_addr().unwrap();
        let (over_udp, over_tcp) = (Arc::new(Mutex::new(Vec::new())), Arc::new(Mutex::new(Vec::new())));
        let seen = Arc::clone(&over_udp);
        tokio::spawn(async move {
            let mut buffer = vec![0; 4096];
            while let Ok((length, client)) = socket.recv_from(&mut buffer).await {
                let query = &buffer[..length];
                seen.lock().unwrap().push((client.port(), query.to_vec()));
                for reply in udp(query) {
                    socket.send_to(&reply, client).await.unwrap();
                }
            }
        });
        let seen = Arc::clone(&over_tcp);
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let mut query = vec![0; stream.read_u16().await.unwrap().into()];
                stream.read_exact(&mut query).await.unwrap();
                seen.lock().unwrap().push(query.clone());
                for reply in tcp(&query) {
                    let mut framed = u16::try_from(reply.len()).unwrap().to_be_bytes().to_vec();
                    framed.extend(reply);
                    stream.write_all(&framed).await.unwrap();
                }
            }
        });
        Server { address, over_udp, over_tcp }
    }

    fn udp_queries(&self) -> Vec<Vec<u8>> {
        self.over_udp.lock().unwrap().iter().map(|(_, query)| query.clone()).collect()
    }

    fn tcp_queries(&self) -> Vec<Vec<u8>> {
        self.over_tcp.lock().unwrap().clone()
    }
}

fn script(reply: impl Fn(&[u8]) -> Vec<Vec<u8>> + Send + Sync + 'static) -> Script {
    Arc::new(reply)
}

fn silence() -> Script {
    script(|_| Vec::new())
}

/// The good answer.
fn good(query: &[u8]) -> Vec<u8> {
    let asked = Message::parse(query).unwrap();
    let set = RrSet {
        owner: asked.question.name.clone(),
        rtype: Rtype::A,
        ttl: 300,
        data: vec![[192, 0, 2, 1].into()],
        signatures: Vec::new(),
    };
    let message = Message {
        flags: Flags { response: true, authoritative: true, ..Flags::default() },
        answer: vec![set],
        edns: Some(Edns::default()),
        ..asked
    };
    let mut octets = message.to_octets().unwrap();
    // The name as it was asked for, letter by letter.
    let name = message.question.name.as_wire().len();
    octets[HEADER..HEADER + name].copy_from_slice(&query[HEADER..HEADER + name]);
    octets
}

fn altered(query: &[u8], alter: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    let mut octets = good(query);
    alter(&mut octets);
    octets
}

fn in_lower_case(query: &[u8]) -> Vec<u8> {
    altered(query, |octets| octets[HEADER..HEADER + question().name.as_wire().len()].make_ascii_lowercase())
}

fn question() -> Question {
    // Forty letters: the chance that none of them is a capital is below one in a trillion.
    Question { name: Name::parse("averylongnameindeed.forthepurpose.example").unwrap(), rtype: Rtype::A }
}

fn exchange() -> Exchange {
    Exchange::new(Arc::new(SystemRandom))
}

const ASKING: Asking = Asking {
    flags: QueryFlags {
        recursion_desired: false,
        authentic_data: false,
        checking_disabled: false,
        dnssec_ok: true,
        no_edns: false,
    },
    case: NameCase::Mixed,
    transport: Transport::UdpFirst,
};

async fn ask(exchange: &Exchange, server: &Server, asking: Asking) -> Result<Message, ExchangeError> {
    exchange.ask(server.address, &question(), asking, Deadline::after(Duration::from_secs(20))).await
}

fn assert_good(response: Result<Message, ExchangeError>) {
    let message = response.unwrap();
    assert_eq!((message.question, message.answer.len()), (question(), 1));
}

fn count(counter: &AtomicU64) -> u64 {
    counter.load(Ordering::Relaxed)
}

fn has_capitals(query: &[u8]) -> bool {
    query[HEADER..].iter().any(u8::is_ascii_uppercase)
}

#[tokio::test]
async fn each_question_has_its_own_port_id_and_letters() {
    let server = Server::start(script(|query| vec![good(query)]), silence()).await;
    let exchange = exchange();
    for _ in 0..16 {
        assert_good(ask(&exchange, &server, ASKING).await);
    }
    let queries = server.over_udp.lock().unwrap().clone();
    let different = |of: fn(&FromPort) -> Vec<u8>| queries.iter().map(of).collect::<HashSet<_>>().len();
    assert!(different(|(port, _)| port.to_be_bytes().to_vec()) >= 14, "ports");
    assert!(different(|(_, query)| query[..2].to_vec()) >= 14, "ids");
    assert_eq!(different(|(_, query)| query[HEADER..].to_vec()), 16, "letters");
    assert!(queries.iter().all(|(port, _)| *port >= FIRST_PORT));
    let query = Message::parse(&queries[0].1).unwrap();
    let edns = query.edns.unwrap();
    assert_eq!((edns.udp_size, edns.dnssec_ok, query.flags), (1232, true, Flags::default()));
    assert_eq!((count(&exchange.stats().udp_queries), count(&exchange.stats().tcp_queries)), (16, 0));
}

#[tokio::test]
async fn the_name_stays_as_it_is_where_that_is_wanted() {
    let server = Server::start(script(|query| vec![good(query)]), silence()).await;
    assert_good(ask(&exchange(), &server, Asking { case: NameCase::AsIs, ..ASKING }).await);
    assert!(!has_capitals(&server.udp_queries()[0]));
}

#[tokio::test]
async fn truncated_is_asked_over_tcp() {
    let truncated = script(|query| vec![altered(query, |octets| octets[2] |= 0x02)]);
    let server = Server::start(truncated, script(|query| vec![good(query)])).await;
    let exchange = exchange();
    assert_good(ask(&exchange, &server, ASKING).await);
    assert_eq!((server.udp_queries().len(), server.tcp_queries().len()), (1, 1));
    assert_ne!(server.udp_queries()[0][HEADER..], server.tcp_queries()[0][HEADER..], "other letters");
    assert_eq!((count(&exchange.stats().udp_queries), count(&exchange.stats().tcp_queries)), (1, 1));

    assert_good(ask(&exchange, &server, Asking { transport: Transport::TcpOnly, ..ASKING }).await);
    assert_eq!((server.udp_queries().len(), server.tcp_queries().len()), (1, 2));
}

#[tokio::test]
async fn forgeries_are_passed_over() {
    let forged_then_good = script(|query| {
        vec![
            altered(query, |octets| octets[0] ^= 1),
            altered(query, |octets| octets[HEADER + 1] = b'x'),
            altered(query, |octets| octets[2] &= 0x7f),
            vec![0; 5],
            Vec::new(),
            good(query),
        ]
    });
    let server = Server::start(forged_then_good, silence()).await;
    let exchange = exchange();
    assert_good(ask(&exchange, &server, ASKING).await);
    assert_eq!(count(&exchange.stats().mismatched_replies), 5);
    assert_eq!(server.tcp_queries().len(), 0);
}

#[tokio::test]
async fn many_forgeries_are_an_attack() {
    let guessing =
        script(|query| (1..=MOST_MISFITS as u16).map(|id| altered(query, |octets| octets[0] ^= id as u8)).collect());
    let server = Server::start(guessing, script(|query| vec![good(query)])).await;
    let exchange = exchange();
    assert_good(ask(&exchange, &server, ASKING).await);
    assert_eq!(count(&exchange.stats().mismatched_replies), u64::from(MOST_MISFITS));
    assert_eq!(server.tcp_queries().len(), 1);
}

#[tokio::test]
async fn a_name_in_other_case_is_verified_over_tcp() {
    // The server keeps the case: what came over UDP was not its own.
    let server = Server::start(script(|query| vec![in_lower_case(query)]), script(|query| vec![good(query)])).await;
    assert_good(ask(&exchange(), &server, ASKING).await);
    assert!(has_capitals(&server.tcp_queries()[0]));

    // The server loses it.
    let lowering = || script(|query| vec![in_lower_case(query)]);
    let server = Server::start(lowering(), lowering()).await;
    assert_good(ask(&exchange(), &server, ASKING).await);
    assert_eq!((server.udp_queries().len(), server.tcp_queries().len()), (1, 1));
}

#[tokio::test]
async fn a_response_without_question_is_verified_over_tcp() {
    let bare = |query: &[u8]| vec![vec![query[0], query[1], 0x80, 1, 0, 0, 0, 0, 0, 0, 0, 0]];
    let server = Server::start(script(bare), script(bare)).await;
    let message = ask(&exchange(), &server, ASKING).await.unwrap();
    assert_eq!((message.rcode, message.edns, message.question), (Rcode::FORMERR, None, question()));
    // Over UDP alone it is not believed.
    let server = Server::start(script(bare), script(|query| vec![good(query)])).await;
    assert_good(ask(&exchange(), &server, ASKING).await);
}

#[tokio::test]
async fn what_is_no_message_is_malformed() {
    // The owner of the answer points to itself.
    let broken = |query: &[u8]| {
        let end = HEADER + question().name.as_wire().len() + 4;
        vec![altered(query, |octets| {
            let here = u8::try_from(end).unwrap();
            octets[end..end + 2].copy_from_slice(&[0xc0, here]);
        })]
    };
    let server = Server::start(script(broken), script(broken)).await;
    assert_eq!(ask(&exchange(), &server, ASKING).await, Err(ExchangeError::Malformed(MessageError::Name)));
    let other_id = script(|query| vec![altered(query, |octets| octets[0] ^= 1)]);
    let server = Server::start(silence(), other_id).await;
    let over_tcp = Asking { transport: Transport::TcpOnly, ..ASKING };
    assert_eq!(ask(&exchange(), &server, over_tcp).await, Err(ExchangeError::Malformed(MessageError::Question)));
}

#[tokio::test]
async fn nobody_there() {
    let address = UdpSocket::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let response = exchange().ask(address, &question(), ASKING, Deadline::after(Duration::from_secs(20))).await;
    let Err(ExchangeError::Network { kind, text }) = response else { panic!("{response:?}") };
    assert_eq!(kind, io::ErrorKind::ConnectionRefused);
    assert!(!text.is_empty());
}

#[tokio::test(start_paused = true)]
async fn silence_ends_at_the_deadline() {
    let server = Server::start(silence(), silence()).await;
    let exchange = exchange();
    assert_eq!(ask(&exchange, &server, ASKING).await, Err(ExchangeError::Timeout));
    assert_eq!(count(&exchange.stats().timeouts), 1);
}

#[tokio::test(start_paused = true)]
async fn sockets_are_bounded() {
    let server = Server::start(silence(), silence()).await;
    let exchange = Exchange::with_sockets(Arc::new(SystemRandom), 1);
    let (asked, question) = (question(), question());
    let short = exchange.ask(server.address, &asked, ASKING, Deadline::after(Duration::from_secs(1)));
    let (long, short) =
        tokio::join!(exchange.ask(server.address, &question, ASKING, Deadline::after(Duration::from_secs(5))), short);
    assert_eq!((long, short), (Err(ExchangeError::Timeout), Err(ExchangeError::NoSocket)));
    assert_eq!(server.udp_queries().len(), 1);
    assert_eq!(count(&exchange.stats().timeouts), 1, "waiting for a socket says nothing about the server");
}
