//! Conversions from single TOML values, each with advice for when it fails.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

use mailstead_names::{Address, Domain, DomainPattern, Host, Secret};
use toml_edit::Value;

use crate::AccountName;
use crate::reader::{Complaint, closest};
use crate::schema::HostPort;

/// A network in CIDR notation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Network {
    /// An address inside.
    pub address: IpAddr,
    /// How many leading bits are common to all addresses of the network.
    pub prefix: u8,
}

fn wrong_type(value: &Value, wanted: &str, example: &str) -> Complaint {
    Complaint::new(
        format!("expected {wanted}, found {} {}", article(value.type_name()), value.type_name()),
        format!("write {example}"),
    )
}

fn article(noun: &str) -> &'static str {
    if noun.starts_with(['a', 'e', 'i', 'o', 'u']) { "an" } else { "a" }
}

pub(crate) fn text(value: &Value) -> Result<String, Complaint> {
    value.as_str().map(str::to_owned).ok_or_else(|| wrong_type(value, "a text", "it in double quotes"))
}

pub(crate) fn flag(value: &Value) -> Result<bool, Complaint> {
    value.as_bool().ok_or_else(|| wrong_type(value, "true or false", "`true` or `false` without quotes"))
}

pub(crate) fn path(value: &Value) -> Result<PathBuf, Complaint> {
    match text(value)? {
        empty if empty.is_empty() => Err(Complaint::new("the path is empty", "name a file or directory")),
        path => Ok(path.into()),
    }
}

pub(crate) fn secret(value: &Value) -> Result<Secret<String>, Complaint> {
    text(value).map(Secret::new)
}

pub(crate) fn domain(value: &Value) -> Result<Domain, Complaint> {
    parse_domain(&text(value)?)
}

pub(crate) fn parse_domain(text: &str) -> Result<Domain, Complaint> {
    Domain::parse(text).map_err(|error| {
        let advice = "use a name such as mail.example.org, without a trailing dot";
        Complaint::new(format!("`{text}` is not a domain name: {error}"), advice)
    })
}

/// A domain, or one with all below it.
pub(crate) fn domain_pattern(value: &Value) -> Result<DomainPattern, Complaint> {
    let text = text(value)?;
    DomainPattern::parse(&text).map_err(|error| {
        let advice = "use a name such as example.org, or .example.org for it and all names below it";
        Complaint::new(format!("`{text}` is not a domain name: {error}"), advice)
    })
}

/// A text of one line that is not empty.
pub(crate) fn line(value: &Value) -> Result<String, Complaint> {
    let line = text(value)?;
    if line.is_empty() || line.chars().any(char::is_control) {
        return Err(Complaint::new("this is not a line of text", "write some words, without line breaks"));
    }
    Ok(line)
}

/// A code of a reply that says that something failed (RFC 5321 §4.2.1).
pub(crate) fn failure_code(value: &Value) -> Result<u16, Complaint> {
    let code = value.as_integer().and_then(|number| u16::try_from(number).ok());
    code.filter(|code| (400..600).contains(code)).ok_or_else(|| {
        let advice = "use 554 for mail that comes back at once, or 451 for mail that waits";
        Complaint::new("this is not the code of a failure", advice)
    })
}

pub(crate) fn address(value: &Value) -> Result<Address, Complaint> {
    let text = text(value)?;
    let address = Address::parse(&text).map_err(|error| {
        Complaint::new(format!("`{text}` is not an address: {error}"), "use one such as jane@example.org")
    })?;
    match address.host {
        Host::Domain(_) => Ok(address),
        Host::Ip(_) => {
            Err(Complaint::new("an address of an account needs a domain", "use one such as jane@example.org"))
        }
    }
}

pub(crate) fn account(value: &Value) -> Result<AccountName, Complaint> {
    parse_account(&text(value)?)
}

pub(crate) fn parse_account(text: &str) -> Result<AccountName, Complaint> {
    AccountName::parse(text).ok_or_else(|| {
        Complaint::new(
            format!("`{text}` cannot be the name of an account"),
            "use at most 64 lower-case letters, digits, `-`, `_` and `.`, beginning with a letter or digit",
        )
    })
}

pub(crate) fn ip(value: &Value) -> Result<IpAddr, Complaint> {
    let text = text(value)?;
    text.parse().map_err(|_| {
        let advice = "use an IPv4 or IPv6 address; \"0.0.0.0\" and \"::\" stand for all addresses of the machine";
        Complaint::new(format!("`{text}` is not an IP address"), advice)
    })
}

pub(crate) fn port(value: &Value) -> Result<u16, Complaint> {
    let number = value.as_integer().ok_or_else(|| wrong_type(value, "a port number", "a number from 1 to 65535"))?;
    u16::try_from(number)
        .ok()
        .filter(|port| *port > 0)
        .ok_or_else(|| Complaint::new(format!("port {number} is out of range"), "use a number from 1 to 65535"))
}

/// A resolver: an address, with a port where it is not the usual one.
pub(crate) fn dns_server(value: &Value) -> Result<SocketAddr, Complaint> {
    const DNS: u16 = 53;
    let text = text(value)?;
    let address = text.parse::<IpAddr>().map(|address| SocketAddr::new(address, DNS)).or_else(|_| text.parse());
    address.map_err(|_| {
        let advice = "use its address, such as \"192.0.2.53\", \"[2001:db8::53]:53\" or \"127.0.0.1:5335\"";
        Complaint::new(format!("`{text}` is not the address of a resolver"), advice)
    })
}

pub(crate) fn network(value: &Value) -> Result<Network, Complaint> {
    let text = text(value)?;
    let parse = || {
        let (address, prefix) = match text.split_once('/') {
            Some((address, prefix)) => (address, Some(prefix)),
            None => (text.as_str(), None),
        };
        let address: IpAddr = address.parse().ok()?;
        let longest = if address.is_ipv4() { 32 } else { 128 };
        let prefix = prefix.map_or(Some(longest), |digits| digits.parse().ok()).filter(|prefix| *prefix <= longest)?;
        Some(Network { address, prefix })
    };
    parse().ok_or_else(|| {
        Complaint::new(format!("`{text}` is not a network"), "use one such as \"192.0.2.0/24\" or \"2001:db8::/32\"")
    })
}

pub(crate) fn host_port(value: &Value) -> Result<HostPort, Complaint> {
    let text = text(value)?;
    let parse = || {
        let (host, port) = text.rsplit_once(':')?;
        let host = match host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            Some(literal) => Host::Ip(IpAddr::V6(literal.parse().ok()?)),
            None => match host.parse() {
                Ok(address) => Host::Ip(IpAddr::V4(address)),
                Err(_) => Host::Domain(Domain::parse(host).ok()?),
            },
        };
        Some(HostPort { host, port: port.parse().ok().filter(|port| *port > 0)? })
    };
    parse().ok_or_else(|| {
        Complaint::new(
            format!("`{text}` is not a host with a port"),
            "use one such as \"smtp.example.net:25\" or \"[::1]:1025\"",
        )
    })
}

/// Octets, as a number or as a text with a unit.
pub(crate) fn size(value: &Value) -> Result<u64, Complaint> {
    const UNITS: [(&str, u64); 9] = [
        ("KiB", 1 << 10),
        ("MiB", 1 << 20),
        ("GiB", 1 << 30),
        ("TiB", 1 << 40),
        ("kB", 1000),
        ("MB", 1_000_000),
        ("GB", 1_000_000_000),
        ("TB", 1_000_000_000_000),
        ("B", 1),
    ];
    let parsed = match value {
        Value::Integer(number) => u64::try_from(*number.value()).ok(),
        Value::String(text) => UNITS
            .iter()
            .find_map(|(unit, octets)| Some((text.value().trim().strip_suffix(unit)?, octets)))
            .and_then(|(number, octets)| number.trim().parse::<u64>().ok()?.checked_mul(*octets)),
        _ => None,
    };
    parsed.ok_or_else(|| {
        Complaint::new("this is not a size", "use a number of octets, or a text such as \"25 MB\" or \"2 GiB\"")
    })
}

/// How many of something there may be.
pub(crate) fn count(value: &Value) -> Result<u32, Complaint> {
    let number = value.as_integer().and_then(|number| u32::try_from(number).ok());
    number.ok_or_else(|| wrong_type(value, "a number from 0 on", "a number such as 1000"))
}

/// Three rising limits.
pub(crate) fn per_class(value: &Value) -> Result<[u32; 3], Complaint> {
    let numbers = value.as_array().map(|array| {
        array
            .iter()
            .map(|number| number.as_integer().and_then(|number| u32::try_from(number).ok()))
            .collect::<Option<Vec<_>>>()
    });
    let limits: Option<[u32; 3]> = numbers.flatten().and_then(|numbers| numbers.try_into().ok());
    limits.filter(|[host, near, wide]| host <= near && near <= wide).ok_or_else(|| {
        Complaint::new(
            "expected three limits that do not fall",
            "write them for one host, its near network and its wide network, such as [300, 900, 2700]",
        )
    })
}

/// One word out of a table.
pub(crate) fn one_of<T: Copy>(value: &Value, words: &[(&'static str, T)]) -> Result<T, Complaint> {
    let given = text(value)?;
    if let Some((_, meaning)) = words.iter().find(|(word, _)| *word == given) {
        return Ok(*meaning);
    }
    let all: Vec<_> = words.iter().map(|(word, _)| format!("\"{word}\"")).collect();
    let advice = match closest(&given, words.iter().map(|(word, _)| *word)) {
        Some(similar) => format!("did you mean \"{similar}\"? Possible are {}", all.join(", ")),
        None => format!("use one of {}", all.join(", ")),
    };
    Err(Complaint::new(format!("`{given}` is not possible here"), advice))
}
