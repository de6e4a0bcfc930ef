//! The accept loop over real loopback sockets.

use std::time::Duration;

use mailstead_net::limits::{ConnectionLimitSettings, ConnectionLimits, PerClass};
use mailstead_net::{
    AddressPolicy, Admission, ConnectionIds, Dialer as _, DirectDialer, Listener, Reception, Refusal, Target,
};
use mailstead_runtime::{Deadline, Shutdown, Supervisor};
use mailstead_testkit::ManualClock;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

fn reception(open: u32) -> Reception {
    let settings = ConnectionLimitSettings { open: PerClass([open; 3]), ..ConnectionLimitSettings::default() };
    Reception {
        limits: ConnectionLimits::new(settings, ManualClock::new().shared()),
        ids: ConnectionIds::starting_at(1),
        supervisor: Supervisor::new(),
        shutdown: Shutdown::new(Duration::from_secs(3)),
    }
}

#[tokio::test]
async fn connections_are_numbered_limited_and_drained() {
    let listener = Listener::bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let target = Target::from(listener.local_addr());
    let reception = reception(1);
    let accepting = tokio::spawn(listener.run("echo", reception.clone(), |mut connection| async move {
        match &connection.admission {
            Admission::Admitted(_) => {
                let greeting = format!("hello {}\n", connection.id);
                connection.stream.write_all(greeting.as_bytes()).await.unwrap();
                let _ = connection.stream.read_u8().await;
            }
            Admission::Refused(why) => {
                assert_eq!(*why, Refusal::Open);
                connection.stream.write_all(b"busy\n").await.unwrap();
            }
        }
    }));
    let dialer = DirectDialer::new(AddressPolicy::ThisMachine(None));
    let mut first = dialer.dial(target, Deadline::NEVER).await.unwrap();
    let mut line = [0; 8];
    first.read_exact(&mut line).await.unwrap();
    assert_eq!(&line, b"hello 1\n");
    let mut second = dialer.dial(target, Deadline::NEVER).await.unwrap();
    let mut answer = String::new();
    second.read_to_string(&mut answer).await.unwrap();
    assert_eq!(answer, "busy\n");

    reception.shutdown.begin();
    accepting.await.unwrap();
    assert!(dialer.dial(target, Deadline::NEVER).await.is_err(), "the port is closed");
    first.write_all(b"x").await.unwrap();
    assert_eq!(reception.supervisor.drain(Deadline::after(Duration::from_secs(3))).await, 0);
}

#[tokio::test]
async fn a_taken_port_is_an_error() {
    let listener = Listener::bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let error = Listener::bind(listener.local_addr()).unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::AddrInUse);
}
