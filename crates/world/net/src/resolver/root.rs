//! Root servers out of a file of hints, such as InterNIC's named.root.

use std::collections::BTreeMap;
use std::fmt;
use std::net::IpAddr;

use mailstead_dns::zonefile::{self, ZonefileError};
use mailstead_dns::{Name, Record, Rtype};

/// Why a file names no root servers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HintsError {
    /// It is no zone file.
    Zonefile(ZonefileError),
    /// There is no NS record of the root whose name has an address.
    NoServers,
}

impl fmt::Display for HintsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            HintsError::Zonefile(error) => error.fmt(f),
            HintsError::NoServers => f.write_str(
                "it needs NS records of the root (`. NS a.root.example.`) and A or AAAA records of their names",
            ),
        }
    }
}

impl std::error::Error for HintsError {}

/// The servers of the root with their addresses, from the text of a zone file with NS, A and AAAA records.
///
/// # Errors
/// When the text is no zone file, or names no server with an address.
pub fn root_servers(text: &str) -> Result<Vec<(Name, Vec<IpAddr>)>, HintsError> {
    let mut names = Vec::new();
    let mut addresses: BTreeMap<Name, Vec<IpAddr>> = BTreeMap::new();
    for record in zonefile::records(text) {
        let record = record.map_err(HintsError::Zonefile)?;
        match record.record() {
            Some(Record::A(address)) => addresses.entry(record.owner).or_default().push(address.into()),
            Some(Record::Aaaa(address)) => addresses.entry(record.owner).or_default().push(address.into()),
            _ if record.rtype == Rtype::NS && record.owner.is_root() => {
                names.extend(Name::from_wire(&record.data).map(|(name, _)| name));
            }
            _ => {}
        }
    }
    let servers: Vec<_> =
        names.into_iter().filter_map(|name| addresses.remove(&name).map(|addresses| (name, addresses))).collect();
    if servers.is_empty() { Err(HintsError::NoServers) } else { Ok(servers) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hints() {
        let text = ". 3600000 NS A.ROOT-SERVERS.NET.\n. NS b.root-servers.net.\n\
                    A.ROOT-SERVERS.NET. 3600000 A 198.41.0.4\nA.ROOT-SERVERS.NET. 3600000 AAAA 2001:503:ba3e::2:30\n";
        let servers = root_servers(text).unwrap();
        assert_eq!(servers.len(), 1);
        assert_eq!((servers[0].0.to_string().as_str(), servers[0].1.len()), ("a.root-servers.net.", 2));
        assert_eq!(root_servers("example. NS a.example.\na.example. A 192.0.2.1\n"), Err(HintsError::NoServers));
        assert!(matches!(root_servers(". NS\n"), Err(HintsError::Zonefile(_))));
    }
}
