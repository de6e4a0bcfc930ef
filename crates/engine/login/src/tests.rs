use std::sync::Arc;
use std::time::Duration;

use mailstead_config::{Config, Directory};
use mailstead_names::{KeyFingerprint, Secret};
use mailstead_net::limits::{AuthFailureSettings, AuthFailures};
use mailstead_net::tls::TlsFacts;
use mailstead_runtime::Clock;
use mailstead_sasl::{ChannelBinding, Mechanism, Nonce, PlusOffered, client};
use mailstead_store::{Account, ImapPreauth, Keep, LoginOutcome, NewAccount, Options, Store, TlsKey, WeakVerifiers};
use mailstead_testkit::{PausedClock, SeededRandom};
use prometheus_client::registry::Registry;
use tempfile::TempDir;
use tokio::sync::watch;

use crate::{Authenticator, Login, Metrics, Peer, PlaintextLogin, Refusal, Settings, Step, User};

const PASSWORD: &str = "correct horse";

/// Two accounts: jane, who asked for verifiers of all kinds, and joe, who is switched off and did not. Connections have
/// TLS 1.3.
struct Scene {
    store: Store,
    jane: Account,
    joe: Account,
    login: Arc<Login>,
    _directory: TempDir,
}

async fn scene() -> Scene {
    scene_with(Mechanism::PASSWORD_STRONGEST_FIRST.to_vec()).await
}

async fn scene_with(mechanisms: Vec<Mechanism>) -> Scene {
    let directory = TempDir::new().unwrap();
    let clock: Arc<dyn Clock> = Arc::new(PausedClock::new());
    let store = Store::open(Options::new(directory.path(), Arc::clone(&clock))).await.unwrap();
    let jane = account(&store, "jane").await;
    let joe = account(&store, "joe").await;
    let failures = AuthFailures::new(AuthFailureSettings::default(), Arc::clone(&clock));
    let login = Login::new(
        Settings { mechanisms, ..Settings::new("mail.example.org") },
        store.clone(),
        watch::Sender::new(addresses()).subscribe(),
        failures,
        clock,
        Arc::new(SeededRandom::new(1)),
        Metrics::default(),
    );
    Scene { store, jane, joe, login, _directory: directory }
}

async fn account(store: &Store, name: &str) -> Account {
    let account = store.create_account(NewAccount::named(name)).await.unwrap();
    let weak = match name {
        "jane" => WeakVerifiers { scram_sha_1: Keep::Yes, cram_md5: Keep::Yes },
        _ => WeakVerifiers::default(),
    };
    store.set_password(account.id(), &Secret::new(PASSWORD.into()), weak).await.unwrap();
    account
}

fn addresses() -> Arc<Directory> {
    let text = r#"
        hostname = "mail.example.org"
        data-directory = "data"
        postmaster = "jane"
        [[listener]]
        addresses = "127.0.0.1"
        smtp = 25
        [domains."example.org"]
        [accounts.jane]
        addresses = ["jane@example.org", "märz@example.org"]
        [accounts.joe]
        addresses = ["joe@example.org"]
        login-disabled = "ask the desk"
        [accounts.unborn]
        addresses = ["unborn@example.org"]
        "#;
    Config::parse(text, "test.toml".as_ref()).unwrap_or_else(|problems| panic!("{problems}")).directory
}

fn peer() -> Peer {
    Peer {
        protocol: "submission",
        remote: [192, 0, 2, 1].into(),
        local: [192, 0, 2, 2].into(),
        tls: Some(TlsFacts {
            version: "TLSv1.3",
            cipher_suite: "TLS_AES_128_GCM_SHA256".into(),
            server_name: None,
            alpn: None,
            exporter: Some([7; 32]),
            client_key: None,
        }),
        plaintext: PlaintextLogin::Refused,
        client: "tester".into(),
    }
}

impl Scene {
    fn connect(&self) -> Authenticator {
        self.login.authenticator(peer())
    }

    /// The latest records, as mechanism and outcome.
    async fn records(&self, account: Option<&Account>) -> Vec<(String, LoginOutcome)> {
        let attempts = self.store.login_attempts(account.map(Account::id), 100).await.unwrap();
        attempts.into_iter().map(|found| (found.attempt.mechanism, found.attempt.outcome)).collect()
    }
}

fn client(mechanism: Mechanism, username: &str, password: &str) -> client::Exchange {
    let credentials =
        client::Credentials { authzid: None, authcid: username.into(), password: Secret::new(password.into()) };
    let options = client::Options {
        channel_binding: Some(ChannelBinding::tls_exporter([7; 32])),
        plus: PlusOffered::Offered,
        nonce: Nonce::from_random([3; 18]),
    };
    client::Exchange::new(mechanism, credentials, options)
}

/// Plays an exchange to its end.
async fn play(connection: &mut Authenticator, mut client: client::Exchange) -> Result<User, Refusal> {
    let initial = client.start().unwrap();
    let mut step = connection.start(client.mechanism().name(), initial.as_deref()).await;
    loop {
        match step {
            Step::Challenge(challenge) => step = connection.respond(&client.step(&challenge).unwrap()).await,
            Step::Done(result) => return result,
        }
    }
}

async fn plain(connection: &mut Authenticator, message: &str) -> Result<User, Refusal> {
    match connection.start("PLAIN", Some(message.as_bytes())).await {
        Step::Done(result) => result,
        step => panic!("{step:?}"),
    }
}

#[tokio::test]
async fn each_mechanism_lets_in_and_is_recorded_by_its_name() {
    let scene = scene().await;
    for mechanism in Mechanism::PASSWORD_STRONGEST_FIRST {
        for name in ["jane@example.org", "JANE@example.org", "jane", "ma\u{308}rz@example.org"] {
            let user = play(&mut scene.connect(), client(mechanism, name, PASSWORD)).await.unwrap();
            assert_eq!((user.name.as_str(), user.account.id()), ("jane", scene.jane.id()), "{mechanism} {name}");
        }
        let records = scene.records(Some(&scene.jane)).await;
        assert!(records.contains(&(mechanism.name().into(), LoginOutcome::Ok)), "{mechanism}");
    }
    let user = scene.connect().password("jane", &Secret::new(PASSWORD.into())).await.unwrap();
    assert_eq!(user.username, "jane");
    assert!(scene.records(Some(&scene.jane)).await.contains(&("login".into(), LoginOutcome::Ok)));

    let mut registry = Registry::default();
    scene.login.metrics.register(&mut registry);
    let mut text = String::new();
    prometheus_client::encoding::text::encode(&mut text, &registry).unwrap();
    let line = r#"authentication_total{protocol="submission",mechanism="SCRAM-SHA-256-PLUS",outcome="ok"} 4"#;
    assert!(text.contains(line), "{text}");
}

#[tokio::test]
async fn nobody_learns_who_exists() {
    let scene = scene().await;
    for mechanism in Mechanism::PASSWORD_STRONGEST_FIRST {
        let mut connection = scene.connect();
        for name in ["jane@example.org", "nobody@example.org", "unborn@example.org", "joe@example.org"] {
            let refusal = play(&mut connection, client(mechanism, name, "wrong horse")).await.unwrap_err();
            assert_eq!(refusal, Refusal::Credentials, "{mechanism} {name}");
        }
        scene.login.failures.succeeded(peer().remote);
    }
    let unknown = scene.records(None).await;
    assert!(unknown.iter().all(|(_, outcome)| *outcome == LoginOutcome::UnknownUser));
    assert_eq!(unknown.len(), 2 * Mechanism::PASSWORD_STRONGEST_FIRST.len());
    let jane = scene.records(Some(&scene.jane)).await;
    assert!(jane.contains(&("PLAIN".into(), LoginOutcome::WrongPassword)));
    assert!(jane.contains(&("SCRAM-SHA-256".into(), LoginOutcome::WrongProof)));
    assert!(jane.contains(&("CRAM-MD5".into(), LoginOutcome::WrongProof)));
}

#[tokio::test]
async fn scram_challenges_for_nobody_are_stable_and_like_real_ones() {
    let scene = scene().await;
    let challenge = async |name: &str| {
        let message = format!("n,,n={name},r=abc");
        match scene.connect().start("SCRAM-SHA-256", Some(message.as_bytes())).await {
            Step::Challenge(octets) => {
                let text = String::from_utf8(octets).unwrap();
                text.split_once(",s=").unwrap().1.to_owned()
            }
            step => panic!("{step:?}"),
        }
    };
    let (jane, nobody, other) = (challenge("jane").await, challenge("nobody").await, challenge("other").await);
    assert_eq!(nobody, challenge("nobody").await);
    // Another spelling of a name that exists gets the same salt, so one that does not exist must, too.
    for name in ["jane", "nobody"] {
        let spelled = challenge(&format!("{name}@example.org")).await;
        assert_eq!(challenge(&format!("{}@EXAMPLE.org", name.to_uppercase())).await, spelled);
    }
    assert_ne!(nobody, other);
    assert_eq!(jane.len(), nobody.len());
    assert_eq!(jane.rsplit_once(',').unwrap().1, nobody.rsplit_once(',').unwrap().1);
}

#[tokio::test]
async fn a_disabled_login_is_told_only_to_its_owner() {
    let scene = scene().await;
    for mechanism in Settings::FOR_EVERY_ACCOUNT {
        let refusal = play(&mut scene.connect(), client(mechanism, "joe@example.org", PASSWORD)).await.unwrap_err();
        assert_eq!(refusal, Refusal::Disabled("ask the desk".into()));
    }
    let refusal = scene.connect().password("joe", &Secret::new("wrong horse".into())).await.unwrap_err();
    assert_eq!(refusal, Refusal::Credentials);
}

#[tokio::test]
async fn only_names_of_the_same_account_can_be_assumed() {
    let scene = scene().await;
    let mut connection = scene.connect();
    let attempt = async |connection: &mut Authenticator, authzid: &str, password: &str| {
        plain(connection, &format!("{authzid}\0jane@example.org\0{password}")).await.map(|user| user.username)
    };
    for own in ["", "jane@example.org", "jane", "märz@example.org"] {
        assert_eq!(attempt(&mut connection, own, PASSWORD).await.unwrap(), "jane@example.org");
    }
    for other in ["joe@example.org", "nobody@example.org"] {
        assert_eq!(attempt(&mut connection, other, PASSWORD).await.unwrap_err(), Refusal::Authorization);
        assert_eq!(attempt(&mut connection, other, "wrong horse").await.unwrap_err(), Refusal::Credentials);
    }
}

#[tokio::test]
async fn what_is_offered_depends_on_the_channel() {
    let scene = scene().await;
    let with = |change: fn(&mut Peer)| {
        let mut peer = peer();
        change(&mut peer);
        scene.login.authenticator(peer)
    };
    assert_eq!(scene.connect().offered(), Mechanism::PASSWORD_STRONGEST_FIRST);
    let tls12 = with(|peer| peer.tls.as_mut().unwrap().exporter = None);
    let unbound: Vec<_> = Mechanism::PASSWORD_STRONGEST_FIRST.into_iter().filter(|m| !m.is_plus()).collect();
    assert_eq!(tls12.offered(), unbound);
    let loopback = with(|peer| (peer.tls, peer.plaintext) = (None, PlaintextLogin::Allowed));
    assert_eq!(loopback.offered(), unbound);
    let mut plaintext = with(|peer| peer.tls = None);
    assert_eq!(plaintext.offered(), []);
    assert_eq!(plain(&mut plaintext, "\0jane\0correct horse").await.unwrap_err(), Refusal::EncryptionRequired);
    let secret = Secret::new(PASSWORD.into());
    assert_eq!(plaintext.password("jane", &secret).await.unwrap_err(), Refusal::EncryptionRequired);
    for (mut connection, name) in [(tls12, "SCRAM-SHA-256-PLUS"), (loopback, "EXTERNAL"), (scene.connect(), "NTLM")] {
        assert!(matches!(connection.start(name, None).await, Step::Done(Err(Refusal::Mechanism))), "{name}");
    }
}

#[tokio::test]
async fn interception_is_noticed_and_recorded() {
    let scene = scene().await;
    let mut elsewhere = scene.connect();
    elsewhere.peer.tls.as_mut().unwrap().exporter = Some([8; 32]);
    let refusal = play(&mut elsewhere, client(Mechanism::ScramSha256Plus, "jane", PASSWORD)).await.unwrap_err();
    assert_eq!(refusal, Refusal::ChannelBinding);
    // The client can bind, but was not told that we can.
    let step = scene.connect().start("SCRAM-SHA-256", Some(b"y,,n=jane,r=abc")).await;
    assert!(matches!(step, Step::Done(Err(Refusal::ChannelBinding))));
    let records = scene.records(Some(&scene.jane)).await;
    assert_eq!(records, [("SCRAM-SHA-256-PLUS".into(), LoginOutcome::ChannelBinding)]);
    assert_eq!(scene.records(None).await, [("SCRAM-SHA-256".into(), LoginOutcome::ChannelBinding)]);
}

#[tokio::test(start_paused = true)]
async fn guessing_is_slowed_down_and_then_refused() {
    let scene = scene().await;
    let mut connection = scene.connect();
    let mut waits = Vec::new();
    for _ in 0..6 {
        let before = tokio::time::Instant::now();
        assert_eq!(plain(&mut connection, "\0jane\0wrong horse").await.unwrap_err(), Refusal::Credentials);
        waits.push(before.elapsed().as_secs());
        assert_eq!(connection.is_slow(), connection.failures() >= 3);
    }
    assert_eq!(waits, [0, 0, 0, 0, 1, 2]);
    // Another connection does not wait, but counts on.
    for _ in 0..4 {
        assert_eq!(plain(&mut scene.connect(), "\0jane\0wrong horse").await.unwrap_err(), Refusal::Credentials);
    }
    assert!(!scene.login.may_try(peer().remote));
    assert_eq!(plain(&mut scene.connect(), "\0jane\0correct horse").await.unwrap_err(), Refusal::TooManyFailures);
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert!(plain(&mut scene.connect(), "\0jane\0correct horse").await.is_ok());
}

#[tokio::test]
async fn breaking_off_and_bad_syntax_are_recorded_but_not_held_against_anybody() {
    let scene = scene().await;
    let mut connection = scene.connect();
    for _ in 0..20 {
        assert!(matches!(connection.start("LOGIN", None).await, Step::Challenge(_)));
        connection.abort().await;
        assert!(matches!(connection.start("PLAIN", Some(b"x")).await, Step::Done(Err(Refusal::Malformed(_)))));
        assert!(matches!(connection.respond(b"x").await, Step::Done(Err(Refusal::Malformed(_)))));
    }
    assert_eq!(connection.failures(), 0);
    let mut records = scene.records(None).await;
    records.sort_by(|a, b| a.0.cmp(&b.0));
    assert_eq!(records, [("LOGIN".into(), LoginOutcome::Aborted), ("PLAIN".into(), LoginOutcome::Malformed)]);
    // An exchange that was left standing is not taken up by the next one.
    assert!(matches!(connection.start("LOGIN", Some(b"joe")).await, Step::Challenge(_)));
    assert!(plain(&mut connection, "\0jane\0correct horse").await.is_ok());
    assert!(matches!(connection.respond(PASSWORD.as_bytes()).await, Step::Done(Err(Refusal::Malformed(_)))));
}

#[tokio::test]
async fn a_remembered_password_ends_with_its_change() {
    let scene = scene().await;
    for _ in 0..3 {
        assert!(plain(&mut scene.connect(), "\0jane\0correct horse").await.is_ok());
    }
    let new = Secret::new("battery staple".into());
    scene.store.set_password(scene.jane.id(), &new, WeakVerifiers::default()).await.unwrap();
    assert_eq!(plain(&mut scene.connect(), "\0jane\0correct horse").await.unwrap_err(), Refusal::Credentials);
    assert!(plain(&mut scene.connect(), "\0jane\0battery staple").await.is_ok());
}

/// The key that is called by this number.
fn fingerprint(number: u8) -> KeyFingerprint {
    KeyFingerprint::new([number; 32])
}

impl Scene {
    /// With EXTERNAL, as a server has it.
    async fn with_keys() -> Scene {
        scene_with(Settings::new("mail.example.org").mechanisms).await
    }

    async fn add_key(&self, number: u8, account: &Account, login: &str, imap_preauth: ImapPreauth) {
        let key = TlsKey {
            fingerprint: fingerprint(number),
            account: account.id(),
            login: login.into(),
            name: String::new(),
            kind: "ed25519".into(),
            imap_preauth,
            spki: vec![number],
            added: self.login.clock.now(),
        };
        self.store.tls_keys().add(key).await.unwrap();
    }

    /// A connection whose client has shown this key.
    async fn shown(&self, number: u8) -> Authenticator {
        let mut connection = self.connect();
        let facts = TlsFacts { client_key: Some(fingerprint(number)), ..peer().tls.unwrap() };
        connection.tls_established(facts).await;
        connection
    }
}

async fn external(connection: &mut Authenticator, authzid: &str) -> Result<String, Refusal> {
    match connection.start("EXTERNAL", Some(authzid.as_bytes())).await {
        Step::Done(result) => result.map(|user| user.username),
        step => panic!("{step:?}"),
    }
}

#[tokio::test]
async fn a_known_key_lets_in_as_its_account_and_nobody_else() {
    let scene = Scene::with_keys().await;
    scene.add_key(1, &scene.jane, "märz@example.org", ImapPreauth::Allowed).await;
    let mut connection = scene.shown(1).await;
    assert_eq!(connection.offered()[0], Mechanism::External, "first of all");
    assert_eq!(connection.offered()[1..], Settings::FOR_EVERY_ACCOUNT);
    for own in ["", "märz@example.org", "jane@example.org", "JANE@example.org", "jane"] {
        assert_eq!(external(&mut connection, own).await.unwrap(), "märz@example.org", "{own}");
    }
    // The client may wait to be asked, too.
    assert!(matches!(connection.start("EXTERNAL", None).await, Step::Challenge(challenge) if challenge.is_empty()));
    assert!(matches!(connection.respond(b"").await, Step::Done(Ok(user)) if user.account.id() == scene.jane.id()));
    for other in ["joe@example.org", "nobody@example.org", "joe"] {
        assert_eq!(external(&mut connection, other).await.unwrap_err(), Refusal::Authorization, "{other}");
    }
    assert_eq!(connection.failures(), 3);
    assert!(plain(&mut connection, "\0jane\0correct horse").await.is_ok(), "a password still works");
    let records = scene.records(Some(&scene.jane)).await;
    for outcome in [LoginOutcome::Ok, LoginOutcome::WrongProof] {
        assert!(records.contains(&("EXTERNAL".into(), outcome)), "{records:?}");
    }
    let attempts = scene.store.login_attempts(Some(scene.jane.id()), 1).await.unwrap();
    let tls = format!("TLSv1.3 TLS_AES_128_GCM_SHA256 key {}", fingerprint(1));
    assert_eq!(attempts[0].attempt.tls, tls, "tells which device it was");
}

#[tokio::test]
async fn external_without_a_known_key_is_refused_and_recorded() {
    let scene = Scene::with_keys().await;
    scene.add_key(1, &scene.jane, "jane@example.org", ImapPreauth::Allowed).await;
    for mut connection in [scene.connect(), scene.shown(2).await] {
        assert!(!connection.offered().contains(&Mechanism::External));
        assert_eq!(external(&mut connection, "").await.unwrap_err(), Refusal::UnknownKey);
        assert_eq!(external(&mut connection, "jane@example.org").await.unwrap_err(), Refusal::UnknownKey);
        assert_eq!(connection.failures(), 2);
    }
    // Of each connection one: without a key, and with that one.
    let record = |outcome| ("EXTERNAL".to_owned(), outcome);
    assert_eq!(scene.records(None).await, [(); 2].map(|()| record(LoginOutcome::UnknownUser)));
    assert_eq!(scene.records(Some(&scene.jane)).await, [(); 2].map(|()| record(LoginOutcome::WrongProof)));
    // No TLS, no certificate: also where passwords may be sent.
    for plaintext in [PlaintextLogin::Refused, PlaintextLogin::Allowed] {
        let mut connection = scene.login.authenticator(Peer { tls: None, plaintext, ..peer() });
        assert!(!connection.offered().contains(&Mechanism::External));
        assert_eq!(external(&mut connection, "").await.unwrap_err(), Refusal::EncryptionRequired);
    }
}

/// A server whose settings have no EXTERNAL has none, and looks at no key.
#[tokio::test]
async fn external_can_be_left_out() {
    let scene = scene().await;
    scene.add_key(1, &scene.jane, "jane@example.org", ImapPreauth::Allowed).await;
    let mut connection = scene.shown(1).await;
    assert_eq!(connection.offered(), Mechanism::PASSWORD_STRONGEST_FIRST);
    assert_eq!(external(&mut connection, "").await.unwrap_err(), Refusal::Mechanism);
    assert!(connection.preauthenticate().await.is_none());
}

#[tokio::test(start_paused = true)]
async fn trying_without_a_key_counts_as_guessing() {
    let scene = Scene::with_keys().await;
    for _ in 0..10 {
        assert_eq!(external(&mut scene.connect(), "jane").await.unwrap_err(), Refusal::UnknownKey);
    }
    scene.add_key(1, &scene.jane, "jane@example.org", ImapPreauth::Allowed).await;
    let mut connection = scene.shown(1).await;
    assert_eq!(external(&mut connection, "").await.unwrap_err(), Refusal::TooManyFailures);
    assert!(connection.preauthenticate().await.is_none());
}

#[tokio::test]
async fn a_key_is_good_until_it_is_taken_away() {
    let scene = Scene::with_keys().await;
    scene.add_key(1, &scene.jane, "jane@example.org", ImapPreauth::Allowed).await;
    let mut connection = scene.shown(1).await;
    assert!(external(&mut connection, "").await.is_ok());
    scene.store.tls_keys().remove(&fingerprint(1)).await.unwrap();
    assert_eq!(external(&mut connection, "").await.unwrap_err(), Refusal::UnknownKey);
    assert!(!scene.shown(1).await.offered().contains(&Mechanism::External));
}

/// An address that has passed to another account takes no key with it, and a key never leads to another account.
#[tokio::test]
async fn a_key_stays_with_its_account() {
    let scene = Scene::with_keys().await;
    scene.add_key(1, &scene.joe, "jane@example.org", ImapPreauth::Allowed).await;
    scene.add_key(2, &scene.jane, "gone@example.org", ImapPreauth::Allowed).await;
    for number in [1, 2] {
        let mut connection = scene.shown(number).await;
        assert!(!connection.offered().contains(&Mechanism::External));
        assert_eq!(external(&mut connection, "").await.unwrap_err(), Refusal::UnknownKey);
        assert!(connection.preauthenticate().await.is_none());
    }
}

#[tokio::test]
async fn a_disabled_login_is_told_to_who_asks() {
    let scene = Scene::with_keys().await;
    scene.add_key(1, &scene.joe, "joe@example.org", ImapPreauth::Allowed).await;
    let mut connection = scene.shown(1).await;
    assert!(connection.preauthenticate().await.is_none());
    assert_eq!(scene.records(Some(&scene.joe)).await, [], "nobody asked");
    assert_eq!(external(&mut connection, "").await.unwrap_err(), Refusal::Disabled("ask the desk".into()));
    assert_eq!(scene.records(Some(&scene.joe)).await, [("EXTERNAL".into(), LoginOutcome::Disabled)]);
}

#[tokio::test]
async fn some_keys_log_in_before_anything_is_said() {
    let scene = Scene::with_keys().await;
    scene.add_key(1, &scene.jane, "jane@example.org", ImapPreauth::Allowed).await;
    scene.add_key(2, &scene.jane, "jane@example.org", ImapPreauth::Refused).await;
    let user = scene.shown(1).await.preauthenticate().await.unwrap();
    assert_eq!((user.account.id(), user.username.as_str()), (scene.jane.id(), "jane@example.org"));
    assert_eq!(scene.records(Some(&scene.jane)).await, [("preauth".into(), LoginOutcome::Ok)]);
    let mut connection = scene.shown(2).await;
    assert!(connection.preauthenticate().await.is_none());
    assert!(external(&mut connection, "").await.is_ok());
    assert!(scene.shown(3).await.preauthenticate().await.is_none());
    assert!(scene.connect().preauthenticate().await.is_none());
}
