//! DKIM with others: dkimpy (PyPI) and OpenDKIM (Debian) verify what we sign, and we verify what they sign; the messages
//! are generated, with whatever is odd and legal. ARC: we verify what dkimpy seals.
//!
//! `cargo xtask test` prepares the programs. OpenDKIM runs in its test mode, which hands messages over as a milter would:
//! the white space after the colon of a field is not as it was, and NUL ends a line. So for OpenDKIM, headers with odd
//! white space are signed in relaxed form.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::SystemTime;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use mailstead_dns::{Record, Txt};
use mailstead_mailauth::arc::{self, ChainStatus};
use mailstead_mailauth::crypto::{AwsLcRs, Crypto, KeyType, PrivateKeyForm, generate_pem, read_pem};
use mailstead_mailauth::dkim::{
    BodyHasher, Canonicalization, KeyRecord, Policy, Reason, Selector, Signer, Status, sign, split_message, verify,
};
use mailstead_names::Domain;
use mailstead_testkit::Zones;

mod generate;

use generate::{Generated, generate};

const MESSAGES: usize = 1000;
const CHAINS: usize = 60;

/// Octets before the `RSAPrivateKey` in the PKCS#8 form of a key of 2048 bits.
const PKCS8_PREFIX: usize = 26;
/// Octets before the seed in the PKCS#8 form of an Ed25519 key.
const SEED: usize = 16;

struct Keys {
    rsa: Signer,
    ed25519: Signer,
    /// As others read them.
    rsa_pem: String,
    ed25519_seed: String,
}

fn keys() -> Keys {
    let domain = Domain::parse("example.org").unwrap();
    let signer = |name: &str, pem: &str| {
        Signer::new(domain.clone(), Selector::parse(name).unwrap(), read_pem(&AwsLcRs, pem).unwrap())
    };
    let rsa = AwsLcRs.generate(KeyType::Rsa).unwrap();
    let pkcs1 = &rsa.expose()[PKCS8_PREFIX..];
    assert!(AwsLcRs.private_key(PrivateKeyForm::Pkcs1, pkcs1).is_ok());
    let lines: Vec<String> =
        STANDARD.encode(pkcs1).as_bytes().chunks(64).map(|line| String::from_utf8(line.to_vec()).unwrap()).collect();
    let rsa_pem = format!("-----BEGIN RSA PRIVATE KEY-----\n{}\n-----END RSA PRIVATE KEY-----\n", lines.join("\n"));

    let ed25519 = generate_pem(&AwsLcRs, KeyType::Ed25519).unwrap();
    let der: String = ed25519.expose().lines().filter(|line| !line.starts_with('-')).collect();
    let ed25519_seed = STANDARD.encode(&STANDARD.decode(der).unwrap()[SEED..]);
    Keys { rsa: signer("rsa", &rsa_pem), ed25519: signer("ed25519", ed25519.expose()), rsa_pem, ed25519_seed }
}

impl Keys {
    /// The records by their names.
    fn records(&self) -> BTreeMap<String, Txt> {
        let record = |signer: &Signer| {
            let name = format!("{}._domainkey.{}", signer.selector, signer.domain);
            (name, KeyRecord::new(signer.key.public_key().clone()).to_txt())
        };
        [record(&self.rsa), record(&self.ed25519)].into()
    }

    fn zones(&self) -> Zones {
        self.records().into_iter().fold(Zones::new(), |zones, (name, txt)| zones.with(&name, Record::Txt(txt)))
    }
}

fn signed(signers: &[Signer], message: &[u8]) -> Vec<u8> {
    let (header, body) = split_message(message);
    let mut hasher = BodyHasher::new(&AwsLcRs);
    signers.iter().for_each(|signer| signer.request(&mut hasher));
    body.chunks(777).for_each(|piece| hasher.update(piece));
    let fields = sign(signers, &AwsLcRs, header, &hasher.finish(), SystemTime::now()).unwrap();
    [fields.as_bytes(), message].concat()
}

/// A signer with the canonicalizations that belong to a number.
fn alternating(signer: &Signer, number: usize) -> Signer {
    const BOTH: [Canonicalization; 2] = [Canonicalization::Simple, Canonicalization::Relaxed];
    let mut signer = signer.clone();
    (signer.header_canonicalization, signer.body_canonicalization) = (BOTH[number / 2 % 2], BOTH[number % 2]);
    signer
}

fn policy() -> Policy<'static> {
    Policy::new(SystemTime::now(), &|_| false)
}

/// Our results for all signatures of a file. That Subject is not signed is no matter of signatures.
async fn our_results(path: &Path, zones: &Zones) -> Vec<(Status, Vec<Reason>)> {
    let found = verify(&fs::read(path).unwrap(), &AwsLcRs, zones, &policy()).await;
    assert_eq!(found.ignored, 0);
    let accepted = |reasons: &[Reason]| reasons.iter().all(|reason| reason.status() == Status::Policy);
    found
        .outcomes
        .into_iter()
        .map(|found| if accepted(&found.reasons) { (Status::Pass, vec![]) } else { (found.status, found.reasons) })
        .collect()
}

fn name(number: usize) -> String {
    format!("{number:04}.eml")
}

fn write(folder: &Path, kind: &str, number: usize, message: &[u8]) {
    fs::create_dir_all(folder.join(kind)).unwrap();
    fs::write(folder.join(kind).join(name(number)), message).unwrap();
}

#[tokio::test]
async fn dkimpy() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let keys = keys();
    let records: BTreeMap<String, String> =
        keys.records().into_iter().map(|(name, txt)| (name, String::from_utf8(txt.joined()).unwrap())).collect();
    fs::write(folder.join("keys.json"), serde_json::to_vec(&records).unwrap()).unwrap();
    fs::write(folder.join("rsa.pem"), &keys.rsa_pem).unwrap();
    fs::write(folder.join("ed25519"), &keys.ed25519_seed).unwrap();

    // What we signed, and the same with one octet changed.
    let mut expected: BTreeMap<String, Vec<bool>> = BTreeMap::new();
    for (number, Generated { message, .. }) in generate().take(MESSAGES).enumerate() {
        write(folder, "plain", number, &message);
        let signers = [alternating(&keys.rsa, number), alternating(&keys.ed25519, number / 4)];
        let signed = signed(&signers[..1 + number % 2], &message);
        write(folder, "ours", number, &signed);
        expected.insert(name(number), vec![true; 1 + number % 2]);
        if let Some(changed) = generate::changed(&signed, number) {
            write(folder, "ours", MESSAGES + number, &changed);
            let results = our_results(&folder.join("ours").join(name(MESSAGES + number)), &keys.zones()).await;
            expected.insert(name(MESSAGES + number), results.iter().map(|found| found.0 == Status::Pass).collect());
        }
        if number < CHAINS {
            write(folder, "sealed", number, &message);
        }
    }
    let failing = expected.values().flatten().filter(|pass| !**pass).count();
    assert!(failing > MESSAGES / 4, "only {failing} changes matter");

    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("dkimpy.py");
    let output = Command::new(python()).arg(script).arg(folder).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let found: BTreeMap<String, Vec<serde_json::Value>> = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(found.len(), expected.len());
    for (name, results) in &found {
        let passing: Vec<bool> = results.iter().map(|result| *result == serde_json::Value::Bool(true)).collect();
        assert_eq!(&passing, expected.get(name).unwrap(), "ours, {name}: {results:?}");
    }

    for number in 0..MESSAGES {
        let results = our_results(&folder.join("dkimpy").join(name(number)), &keys.zones()).await;
        assert_eq!(results, [(Status::Pass, vec![])], "theirs, {number}");
    }
    for number in 0..CHAINS {
        let message = fs::read(folder.join("arc").join(name(number))).unwrap();
        let chain = arc::verify(&message, &AwsLcRs, &keys.zones(), &policy()).await;
        assert_eq!((chain.status, chain.reason), (ChainStatus::Pass, None), "chain {number}");
        assert_eq!((chain.sets.len(), chain.oldest_pass), (number % 3 + 1, Some(0)));
    }
}

#[tokio::test]
async fn opendkim() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let keys = keys();
    let records: String = keys
        .records()
        .into_iter()
        .map(|(name, txt)| format!("{name} {}\n", String::from_utf8(txt.joined()).unwrap()))
        .collect();
    fs::write(folder.join("keys"), records).unwrap();
    fs::write(folder.join("rsa.pem"), &keys.rsa_pem).unwrap();
    // Key and folder may be readable by others: nothing here is worth anything.
    let conf = format!("TestPublicKeys {}\nRequireSafeKeys no\nSyslog no\n", folder.join("keys").display());
    fs::write(folder.join("verify.conf"), format!("{conf}Mode v\n")).unwrap();
    fs::write(folder.join("sign.conf"), conf).unwrap();

    // Whether the header can be signed in simple form for OpenDKIM, by canonicalizations of header and body.
    let mut plain: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
    for (number, Generated { message, is_odd }) in generate().take(MESSAGES).enumerate() {
        let mut signers = [alternating(&keys.rsa, number), alternating(&keys.ed25519, number / 4)];
        if is_odd {
            signers[0].header_canonicalization = Canonicalization::Relaxed;
        }
        write(folder, "ours", number, &signed(&signers[..1 + number % 2], &message));
        write(folder, "plain", number, &message);
        let canonicalizations = match (is_odd, number % 4) {
            (false, 0) => "simple/simple",
            (false, 1) => "simple/relaxed",
            (_, 0 | 2) => "relaxed/simple",
            _ => "relaxed/relaxed",
        };
        plain.entry(canonicalizations).or_default().push(number);
    }

    let all: Vec<usize> = (0..MESSAGES).collect();
    let (out, err) = run_opendkim(&folder.join("ours"), &["-x", "../verify.conf"], &all);
    let told = out + &err;
    for number in all {
        let expected = format!("{}: verification (s=rsa, d=example.org, 2048-bit key) succeeded", name(number));
        assert!(told.contains(&expected), "ours, {number}: {told}");
    }

    for (canonicalizations, numbers) in plain {
        let options = "-x ../sign.conf -b s -d example.org -s rsa -k ../rsa.pem -S rsa-sha256 -vv -c";
        let options: Vec<&str> = options.split(' ').chain([canonicalizations]).collect();
        let (out, err) = run_opendkim(&folder.join("plain"), &options, &numbers);
        let fields: Vec<&str> = out.split("hname='DKIM-Signature' hvalue='").skip(1).collect();
        assert_eq!(fields.len(), numbers.len(), "{err}");
        for (number, field) in numbers.iter().zip(fields) {
            let (value, _) = field.split_once('\'').unwrap();
            let message = fs::read(folder.join("plain").join(name(*number))).unwrap();
            let field = format!("DKIM-Signature: {}\r\n", value.replace('\n', "\r\n"));
            write(folder, "theirs", *number, &[field.as_bytes(), &message].concat());
            let results = our_results(&folder.join("theirs").join(name(*number)), &keys.zones()).await;
            assert_eq!(results, [(Status::Pass, vec![])], "theirs, {number}, {canonicalizations}");
        }
    }
}

/// Runs OpenDKIM in its test mode on messages of the folder.
fn run_opendkim(folder: &Path, options: &[&str], numbers: &[usize]) -> (String, String) {
    let files: Vec<String> = numbers.iter().map(|number| name(*number)).collect();
    let output = Command::new("opendkim")
        .current_dir(folder)
        .args(options)
        .args(["-t", &files.join(",")])
        .env("PATH", format!("{}:/usr/sbin", std::env::var("PATH").unwrap_or_default()))
        .output()
        .expect("opendkim (apt install opendkim)");
    let text = |octets: &[u8]| String::from_utf8_lossy(octets).into_owned();
    (text(&output.stdout), text(&output.stderr))
}

/// The interpreter that has dkimpy.
fn python() -> std::path::PathBuf {
    std::env::var_os("MAILSTEAD_TEST_PYTHON").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/e2e-python/bin/python"),
        std::path::PathBuf::from,
    )
}
