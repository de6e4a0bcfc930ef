//! Through a SOCKS proxy in memory: what is said to it, what of its answers is believed, and what it is never asked.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use mailstead_dns::Record;
use mailstead_names::{Domain, Host, Secret};
use mailstead_net::{AddressPolicy, Dialer as _, Error, Proxy, SocksDialer, SocksError, SocksLogin, Stream};
use mailstead_runtime::Deadline;
use mailstead_testkit::{MemoryDialer, Zones};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

const PROXY: &str = "192.0.2.80:1080";
const SERVER: &str = "198.51.100.25:25";
/// The request to connect to the server.
const REQUEST: &[u8] = &[5, 1, 0, 1, 198, 51, 100, 25, 0, 25];
/// Connected, from 203.0.113.9:4000.
const CONNECTED: &[u8] = &[5, 0, 0, 1, 203, 0, 113, 9, 15, 160];

fn proxy(login: Option<(&str, &str)>) -> Proxy {
    let proxy: SocketAddr = PROXY.parse().unwrap();
    let login = login
        .map(|(username, password)| SocksLogin::new(username.to_owned(), Secret::new(password.to_owned())).unwrap());
    Proxy { host: Host::Ip(proxy.ip()), port: proxy.port(), login }
}

fn dialer(proxy: Proxy, zones: Zones) -> (Arc<MemoryDialer>, SocksDialer) {
    let memory = MemoryDialer::new();
    let socks = SocksDialer::new(proxy, Arc::<MemoryDialer>::clone(&memory), Arc::new(zones), AddressPolicy::Public);
    (memory, socks)
}

/// Dials the server through a proxy that plays these turns: what it hears, what it says.
async fn through(login: Option<(&str, &str)>, turns: &[(&[u8], &[u8])]) -> (Result<Stream, Error>, Stream) {
    let (memory, socks) = dialer(proxy(login), Zones::new());
    let mut end = memory.expect(PROXY.parse().unwrap());
    let target: SocketAddr = SERVER.parse().unwrap();
    let playing = async {
        for (hears, says) in turns {
            let mut heard = vec![0; hears.len()];
            end.read_exact(&mut heard).await.unwrap();
            assert_eq!(heard, *hears);
            end.write_all(says).await.unwrap();
        }
        end
    };
    let (dialled, end) = tokio::join!(socks.dial(target.into(), Deadline::NEVER), playing);
    assert_eq!(memory.dialled(), [PROXY.parse().unwrap()]);
    (dialled, end)
}

async fn refused(login: Option<(&str, &str)>, turns: &[(&[u8], &[u8])]) -> SocksError {
    match through(login, turns).await.0 {
        Err(Error::Socks(error)) => error,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn what_comes_behind_the_reply_is_the_servers() {
    let connected = [CONNECTED, b"220 mx\r\n"].concat();
    let (stream, mut end) = through(None, &[(&[5, 1, 0], &[5, 0]), (REQUEST, &connected)]).await;
    let mut stream = stream.unwrap();
    assert_eq!(
        (stream.peer_addr().to_string(), stream.local_addr().to_string()),
        (SERVER.into(), "203.0.113.9:4000".into())
    );
    let mut greeting = [0; 8];
    stream.read_exact(&mut greeting).await.unwrap();
    assert_eq!(&greeting, b"220 mx\r\n");
    stream.write_all(b"QUIT").await.unwrap();
    let mut quit = [0; 4];
    end.read_exact(&mut quit).await.unwrap();
    assert_eq!(&quit, b"QUIT");
}

#[tokio::test]
async fn a_user_name_and_a_password_where_the_proxy_wants_them() {
    let greeting = (&[5, 2, 0, 2][..], &[5, 2][..]);
    let login = &b"\x01\x02me\x06secret"[..];
    let turns = [greeting, (login, &[1, 0]), (REQUEST, CONNECTED)];
    assert!(through(Some(("me", "secret")), &turns).await.0.is_ok());
    assert_eq!(refused(Some(("me", "secret")), &[greeting, (login, &[1, 1])]).await, SocksError::LoginRefused);
    // It may as well do without.
    assert!(through(Some(("me", "secret")), &[(greeting.0, &[5, 0]), (REQUEST, CONNECTED)]).await.0.is_ok());
}

#[tokio::test]
async fn proxies_that_do_not_serve_us() {
    let greeting = &[5, 1, 0][..];
    assert_eq!(refused(None, &[(greeting, &[5, 0xff])]).await, SocksError::NoMethod);
    // A method that was not offered.
    assert_eq!(refused(None, &[(greeting, &[5, 2])]).await, SocksError::NoMethod);
    assert_eq!(refused(None, &[(greeting, b"220 mail")]).await, SocksError::NotSocks);
    let error = refused(None, &[(greeting, &[5, 0]), (REQUEST, &[5, 4])]).await;
    assert_eq!(error.to_string(), "the proxy did not connect: host unreachable (4)");
}

#[tokio::test]
async fn inner_addresses_are_not_asked_for() {
    let (memory, socks) = dialer(proxy(None), Zones::new());
    let target: SocketAddr = "10.0.0.1:25".parse().unwrap();
    assert!(matches!(socks.dial(target.into(), Deadline::NEVER).await, Err(Error::ForbiddenAddress(..))));
    assert!(memory.dialled().is_empty());
}

#[tokio::test]
async fn a_proxy_with_a_name_is_tried_at_each_of_its_addresses() {
    let a = |text: &str| Record::A(text.parse().unwrap());
    let zones = Zones::new().with("proxy.example", a("192.0.2.80")).with("proxy.example", a("192.0.2.81"));
    let named = |name| Proxy { host: Host::Domain(Domain::parse(name).unwrap()), ..proxy(None) };
    let (memory, socks) = dialer(named("proxy.example"), zones);
    let target: SocketAddr = SERVER.parse().unwrap();
    assert!(matches!(socks.dial(target.into(), Deadline::NEVER).await, Err(Error::Io(_))));
    assert_eq!(memory.dialled(), ["192.0.2.80:1080".parse().unwrap(), "192.0.2.81:1080".parse().unwrap()]);
    let (_, socks) = dialer(named("nowhere.example"), Zones::new());
    let error = socks.dial(target.into(), Deadline::NEVER).await.unwrap_err();
    assert_eq!(error.to_string(), "looking up nowhere.example: the proxy has no address");
}

#[tokio::test(start_paused = true)]
async fn a_silent_proxy_costs_the_deadline_and_no_more() {
    let (memory, socks) = dialer(proxy(None), Zones::new());
    let _end = memory.expect(PROXY.parse().unwrap());
    let target: SocketAddr = SERVER.parse().unwrap();
    let dialled = socks.dial(target.into(), Deadline::after(Duration::from_secs(30))).await;
    assert!(matches!(dialled, Err(Error::TimedOut)));
}
