//! Making the zones: keys, what each parent says of its children, zone files, signatures by other people's signers, and
//! the faults that are made after signing.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Mutex;

use super::inside::program;
use super::spoil;
use super::world::World;
use super::zone::{Dates, Denial, Ds, Keys, Signer, Zone};

/// Where a zone's finished file is.
pub(crate) fn file_of(folder: &Path, zone: &Zone) -> PathBuf {
    folder.join(format!("{}zone", if zone.name == "." { "root." } else { &zone.name }))
}

/// The keys of a zone: their files without suffix, the first of which the parent knows, and the zone's DS records.
#[derive(Debug, Default, Clone)]
pub(crate) struct Kept {
    signing: Vec<String>,
    waiting: Vec<String>,
    ds: Vec<String>,
}

/// The keys of all zones, by their names.
pub(crate) type Keyring = BTreeMap<String, Kept>;

/// Makes every zone's file in `folder`. Returns the keys.
pub(crate) fn make(world: &World, folder: &Path) -> Keyring {
    let kept: Keyring = each(&world.zones, |zone| (zone.name.clone(), keys(zone, folder)));
    each::<_, _, Vec<()>>(&world.zones, |zone| sign(world, zone, &kept, folder));
    kept
}

/// The trust anchor: the DS records of the root.
pub(crate) fn anchor(kept: &Keyring) -> String {
    kept["."].ds.iter().fold(String::new(), |text, data| text + &format!(". 300 IN DS {data}\n"))
}

/// Does a piece of work for each, on as many threads as there are processors.
fn each<'a, T: Sync, R: Send, C: FromIterator<R>>(items: &'a [T], work: impl Fn(&'a T) -> R + Sync) -> C {
    let queue = Mutex::new(items.iter());
    let threads = std::thread::available_parallelism().map_or(2, usize::from);
    std::thread::scope(|scope| {
        let turn = || {
            let mut done = Vec::new();
            loop {
                let next = queue.lock().expect("no thread panics within the lock").next();
                match next {
                    Some(item) => done.push(work(item)),
                    None => return done,
                }
            }
        };
        let threads: Vec<_> = (0..threads).map(|_| scope.spawn(turn)).collect();
        threads.into_iter().flat_map(|thread| thread.join().expect("signing")).collect()
    })
}

/// The output of a program that must succeed. Some hundreds are run, so without the threads and waits of [`crate::run`].
fn told(name: &str, words: &[&str], folder: &Path) -> String {
    let output = Command::new(program(name)).args(words).current_dir(folder).stdin(Stdio::null()).output();
    let output = output.unwrap_or_else(|error| panic!("cannot run {name}: {error}"));
    let text = |octets: &[u8]| String::from_utf8_lossy(octets).into_owned();
    assert!(output.status.success(), "{name} {words:?}: {}{}", text(&output.stdout), text(&output.stderr));
    text(&output.stdout)
}

fn keys(zone: &Zone, folder: &Path) -> Kept {
    let key = |algorithm: u8, of_keys: bool| {
        // The files are named by zone, algorithm and tag; the program sees to it that no two keys have the same.
        let algorithm = algorithm.to_string();
        let mut words = vec!["-a", algorithm.as_str()];
        if matches!(algorithm.as_str(), "5" | "7" | "8" | "10") {
            words.extend(["-b", "2048"]);
        }
        if of_keys {
            words.push("-k");
        }
        words.push(&zone.name);
        told("ldns-keygen", &words, folder).trim().to_owned()
    };
    let mut kept = Kept::default();
    match zone.signing {
        Some((Signer::Online, ..)) => {
            kept.ds = online(zone, folder);
            return kept;
        }
        Some((_, Keys::Csk(algorithm), ..)) => kept.signing = vec![key(algorithm, true)],
        Some((_, Keys::Split(algorithm), ..)) => kept.signing = vec![key(algorithm, true), key(algorithm, false)],
        Some((_, Keys::Standby(algorithm), ..)) => {
            kept.signing = vec![key(algorithm, true), key(algorithm, false)];
            kept.waiting = vec![key(algorithm, false)];
        }
        Some((_, Keys::Two(one, other), ..)) => kept.signing = vec![key(one, true), key(other, true)],
        None => {}
    }
    let digest = |base: &str, digest: &str| {
        let text = told("ldns-key2ds", &["-n", digest, &format!("{base}.key")], folder);
        text.split_once("DS").expect("a DS record").1.trim().to_owned()
    };
    let own = |kind: &str| kept.signing.first().map(|base| digest(base, kind)).expect("a signed zone");
    let anothers = || digest(&key(13, true), "-2");
    kept.ds = match zone.ds {
        Ds::Absent => Vec::new(),
        Ds::Sha256 => vec![own("-2")],
        Ds::Sha384 => vec![own("-4")],
        Ds::Sha1 => vec![own("-1")],
        Ds::Sha1And256 => vec![own("-1"), own("-2")],
        Ds::OfAnotherKey => vec![anothers()],
        Ds::AlsoOfAnotherKey => vec![anothers(), own("-2")],
        Ds::Altered => vec![spoil::altered(&own("-2"), 3)],
        Ds::UnknownAlgorithm => vec![with(&own("-2"), 1, "253")],
        Ds::AlsoUnknownAlgorithm => vec![with(&own("-2"), 1, "253"), own("-2")],
        Ds::UnknownDigest => vec![with(&own("-2"), 2, "200")],
    };
    kept
}

/// The data with one field replaced.
fn with(data: &str, field: usize, value: &str) -> String {
    let mut fields: Vec<&str> = data.split_whitespace().collect();
    fields[field] = value;
    fields.join(" ")
}

/// The configuration of Knot, which keeps its keys itself: for its zone, listening nowhere or on these addresses.
pub(crate) fn knot(zone: &Zone, folder: &Path, listen: &[String]) -> PathBuf {
    let file = folder.join("knot.conf");
    let listen: String = listen.iter().map(|address| format!("    listen: {address}@53\n")).collect();
    let store = folder.join("knot");
    fs::create_dir_all(&store).expect("a folder");
    let text = format!(
        "server:\n    rundir: {store}\n    udp-workers: 1\n    tcp-workers: 1\n    background-workers: 1\n{listen}\
         database:\n    storage: {store}\n\
         policy:\n  - id: lab\n    algorithm: ecdsap256sha256\n    manual: on\n    single-type-signing: on\n\
         mod-onlinesign:\n  - id: lab\n    policy: lab\n\
         zone:\n  - domain: {name}\n    file: {zone}\n    module: mod-onlinesign/lab\n",
        store = store.display(),
        name = zone.name,
        zone = file_of(folder, zone).display(),
    );
    fs::write(&file, text).expect("write knot.conf");
    file
}

fn online(zone: &Zone, folder: &Path) -> Vec<String> {
    let file = knot(zone, folder, &[]).display().to_string();
    let ask = |words: &[&str]| told("keymgr", &[&["-c", &file, &zone.name], words].concat(), folder);
    ask(&["generate", "algorithm=13", "ksk=yes", "zsk=yes"]);
    let all = ask(&["ds"]);
    let data = all.lines().filter_map(|line| Some(line.split_once(" DS ")?.1.to_owned()));
    data.filter(|data| data.split_whitespace().nth(2) == Some("2")).collect()
}

/// The zone's file before it is signed.
fn unsigned(world: &World, zone: &Zone, kept: &Keyring, folder: &Path) -> String {
    let mut text = format!("$ORIGIN {}\n$TTL {}\n", zone.spelling, zone.ttl);
    let servers = name_servers(world, zone);
    let first = &servers.first().expect("a zone has a server").0;
    let _ = writeln!(text, "@ SOA {first} hostmaster.example. {} 7200 3600 1209600 300", zone.serial);
    text += &delegation(&servers, &zone.spelling);
    for line in zone.lines() {
        let _ = writeln!(text, "{} {} {}", line.owner, line.rtype, line.data);
    }
    for child in world.children(zone) {
        text += &delegation(&name_servers(world, child), &child.spelling);
        for data in &kept[child.name.as_str()].ds {
            let _ = writeln!(text, "{} DS {data}", child.spelling);
        }
    }
    let kept = &kept[zone.name.as_str()];
    for base in kept.signing.iter().chain(&kept.waiting) {
        text += &fs::read_to_string(folder.join(format!("{base}.key"))).expect("a key");
    }
    text
}

/// The names of a zone's servers, with their addresses where the names are the zone's own.
fn name_servers(world: &World, zone: &Zone) -> Vec<(String, Vec<String>)> {
    if !zone.hosts.is_empty() {
        return zone.hosts.iter().map(|host| ((*host).to_owned(), Vec::new())).collect();
    }
    let named = zone.servers.iter().enumerate().map(|(number, server)| {
        let host = if number == 0 { "ns".to_owned() } else { format!("ns{}", number + 1) };
        let addresses = &world.authority(server).addresses;
        (format!("{host}.{}", zone.spelling), addresses.iter().map(ToString::to_string).collect())
    });
    named.collect()
}

fn delegation(servers: &[(String, Vec<String>)], owner: &str) -> String {
    let mut text = String::new();
    for (host, addresses) in servers {
        let _ = writeln!(text, "{owner} NS {host}");
        for address in addresses {
            let rtype = if address.contains(':') { "AAAA" } else { "A" };
            let _ = writeln!(text, "{host} {rtype} {address}");
        }
    }
    text
}

/// Makes the file of a zone that has its keys.
pub(crate) fn sign(world: &World, zone: &Zone, kept: &Keyring, folder: &Path) {
    let file = file_of(folder, zone);
    let text = unsigned(world, zone, kept, folder);
    fs::write(&file, &text).expect("write a zone");
    let Some((signer, keys, denial, dates)) = zone.signing.filter(|(signer, ..)| *signer != Signer::Online) else {
        return;
    };
    let signing = &kept[zone.name.as_str()].signing;
    let signed = |dates: Dates| {
        let output = file.with_extension("signed");
        let (file, output) = (file.display().to_string(), output.display().to_string());
        match signer {
            Signer::Bind => bind(zone, keys, denial, dates, signing, (&file, &output), folder),
            _ => ldns(zone, denial, dates, signing, (&file, &output), folder),
        }
        fs::read_to_string(output).expect("a signed zone")
    };
    let first = signed(dates);
    let stale = if spoil::wants_stale(zone) { signed(Dates::Past) } else { String::new() };
    fs::write(&file, spoil::apply(zone, &first, &stale)).expect("write a zone");
}

fn ldns(zone: &Zone, denial: Denial, dates: Dates, keys: &[String], files: (&str, &str), folder: &Path) {
    let (inception, expiration) = dates.bounds();
    let mut words = vec!["-o", &zone.name, "-i", inception, "-e", expiration, "-f", files.1];
    let count;
    if let Denial::Nsec3 { iterations, salt, opt_out } = denial {
        count = iterations.to_string();
        words.extend(["-n", "-t", &count]);
        if salt != "-" {
            words.extend(["-s", salt]);
        }
        if opt_out {
            words.push("-p");
        }
    }
    words.push(files.0);
    words.extend(keys.iter().map(String::as_str));
    told("ldns-signzone", &words, folder);
}

fn bind(zone: &Zone, keys: Keys, denial: Denial, dates: Dates, signing: &[String], files: (&str, &str), folder: &Path) {
    let (inception, expiration) = dates.bounds();
    // Without a check of the result, which signatures of another day would not pass.
    let mut words = vec!["-P", "-q", "-n", "1", "-O", "full", "-o", &zone.name, "-s", inception, "-e", expiration];
    words.extend(["-f", files.1]);
    if matches!(keys, Keys::Csk(_) | Keys::Two(..)) {
        words.push("-z");
    }
    let count;
    if let Denial::Nsec3 { iterations, salt, opt_out } = denial {
        count = iterations.to_string();
        words.extend(["-3", salt, "-H", &count]);
        if opt_out {
            words.push("-A");
        }
    }
    words.push(files.0);
    words.extend(signing.iter().map(String::as_str));
    told("dnssec-signzone", &words, folder);
}
