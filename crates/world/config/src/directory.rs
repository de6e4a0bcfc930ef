//! Whose mail is it: from addresses and user names to accounts.
//!
//! A snapshot without I/O, made from one validated configuration. Aliases and lists come later and find
//! their place between explicit addresses and catch-all.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fmt;
use std::sync::Arc;

use crate::rules::{DkimKey, Rule};
use mailstead_names::{Address, Domain, ForwardPath, Localpart};

/// The name of an account: lower-case letters, digits, `-`, `_` and `.`. Cheap to clone.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct AccountName(Arc<str>);

impl AccountName {
    /// Checks a name.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let fine = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '-' | '_' | '.');
        let whole = (1..=64).contains(&text.len()) && text.chars().all(fine) && !text.starts_with(['.', '-']);
        whole.then(|| AccountName(text.into()))
    }

    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for AccountName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::borrow::Borrow<str> for AccountName {
    fn borrow(&self) -> &str {
        &self.0
    }
}

/// Whether the owner of an account may log in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LoginState {
    /// With the right credentials.
    Enabled,
    /// Not at all; the text tells the owner why. Mail is still delivered.
    Disabled(String),
}

/// One account as configured.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccountEntry {
    /// Its name.
    pub name: AccountName,
    /// The addresses configured for it, the first being the one it is known by.
    pub addresses: Vec<Address>,
    /// Most octets of messages it may keep.
    pub quota: Option<u64>,
    /// Whether its owner may log in.
    pub login: LoginState,
    /// What becomes of mail that comes in, in this order.
    pub rules: Vec<Rule>,
}

/// How one domain treats its local parts.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DomainRules {
    /// Account for addresses that nobody has.
    pub catch_all: Option<AccountName>,
    /// What follows one of these in a local part is not looked at. Applied in this order.
    pub separators: Vec<String>,
    /// Whether `A@` and `a@` are different addresses.
    pub case: LocalpartCase,
    /// Keys that mail of the domain is signed with.
    pub dkim: Vec<DkimKey>,
}

/// Whether the case of local parts matters.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum LocalpartCase {
    /// It does not, as everywhere in practice.
    #[default]
    Folded,
    /// It does.
    Kept,
}

/// By which rule an address was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Match {
    /// It is configured for the account, perhaps after case folding and without its subaddress.
    Explicit,
    /// The domain's catch-all.
    CatchAll,
    /// It is a postmaster address that nobody else has (RFC 5321 §4.5.1).
    Postmaster,
    /// All mail goes to one account here.
    Sandbox,
}

/// Where mail for an address goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Destination {
    /// The account.
    pub account: AccountName,
    /// Why this one.
    pub matched: Match,
}

/// The answer to [`Directory::lookup`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Lookup {
    /// It is ours.
    Found(Destination),
    /// The domain is ours, the local part is nobody's.
    UnknownUser,
    /// The domain is not ours.
    NotLocal,
}

/// The local part under which postmaster mail arrives.
const POSTMASTER: &str = "postmaster";

/// Addresses, domains and accounts.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Directory {
    pub(crate) accounts: BTreeMap<AccountName, AccountEntry>,
    pub(crate) domains: HashMap<Domain, DomainRules>,
    pub(crate) addresses: HashMap<(Domain, String), AccountName>,
    pub(crate) hostnames: HashSet<Domain>,
    pub(crate) postmaster: Option<AccountName>,
    pub(crate) sandbox: Option<AccountName>,
}

impl Directory {
    /// Where mail for this recipient goes: explicit address, else catch-all, else postmaster.
    #[must_use]
    pub fn lookup(&self, recipient: &ForwardPath) -> Lookup {
        let found = match recipient {
            ForwardPath::Postmaster => self.postmaster_or(Lookup::UnknownUser),
            ForwardPath::Address(address) => self.lookup_address(address),
        };
        match (&self.sandbox, found) {
            (Some(account), Lookup::UnknownUser | Lookup::NotLocal) => found_by(account, Match::Sandbox),
            (_, found) => found,
        }
    }

    /// [`Directory::lookup`] for an address.
    fn lookup_address(&self, address: &Address) -> Lookup {
        // A literal is no domain of ours: nobody sends real mail there.
        let Some(domain) = address.domain() else { return Lookup::NotLocal };
        let is_postmaster = address.localpart.as_str().eq_ignore_ascii_case(POSTMASTER);
        let Some(rules) = self.domains.get(domain) else {
            // Our host names need not be mail domains, but they have a postmaster (RFC 5321 §4.5.1).
            return match (self.hostnames.contains(domain), is_postmaster) {
                (true, true) => self.postmaster_or(Lookup::UnknownUser),
                (true, false) => Lookup::UnknownUser,
                (false, _) => Lookup::NotLocal,
            };
        };
        if let Some(account) = self.explicit(domain, rules, &address.localpart) {
            return found_by(account, Match::Explicit);
        }
        match (&rules.catch_all, is_postmaster) {
            (Some(account), _) => found_by(account, Match::CatchAll),
            (None, true) => self.postmaster_or(Lookup::UnknownUser),
            (None, false) => Lookup::UnknownUser,
        }
    }

    fn postmaster_or(&self, otherwise: Lookup) -> Lookup {
        self.postmaster.as_ref().map_or(otherwise, |account| found_by(account, Match::Postmaster))
    }

    /// The address itself first, so that an address may contain a separator, then without subaddress.
    fn explicit(&self, domain: &Domain, rules: &DomainRules, localpart: &Localpart) -> Option<&AccountName> {
        let whole = rules.canonical(localpart.as_str());
        let find = |localpart: &str| self.addresses.get(&(domain.clone(), localpart.to_owned()));
        find(&whole).or_else(|| {
            let base = rules.without_subaddress(&whole);
            (base != whole).then(|| find(base)).flatten()
        })
    }

    /// The account that a user name belongs to: one of its addresses (never by catch-all), or its name.
    #[must_use]
    pub fn login(&self, username: &str) -> Option<&AccountEntry> {
        if let Some(entry) = self.accounts.get(username) {
            return Some(entry);
        }
        let address = Address::parse(username).ok()?;
        let domain = address.domain()?;
        let account = self.explicit(domain, self.domains.get(domain)?, &address.localpart)?;
        self.accounts.get(account)
    }

    /// One form for all spellings of a user name that [`Directory::login`] treats alike, whether anybody has that name
    /// or not.
    #[must_use]
    pub fn canonical_login(&self, username: &str) -> String {
        let Ok(address) = Address::parse(username) else { return username.to_owned() };
        match address.domain().and_then(|domain| Some((domain, self.domains.get(domain)?))) {
            Some((domain, rules)) => {
                let whole = rules.canonical(address.localpart.as_str());
                format!("{}@{domain}", rules.without_subaddress(&whole))
            }
            None => address.to_string(),
        }
    }

    /// Whether an account may write mail under this address: it would get the answers.
    #[must_use]
    pub fn may_send_as(&self, account: &AccountName, address: &Address) -> bool {
        if self.sandbox.is_some() {
            return true;
        }
        matches!(self.lookup_address(address), Lookup::Found(destination) if destination.account == *account)
    }

    /// Whether we take mail for this domain.
    #[must_use]
    pub fn is_local(&self, domain: &Domain) -> bool {
        self.sandbox.is_some() || self.is_configured(domain)
    }

    /// Whether the configuration names this domain.
    #[must_use]
    pub fn is_configured(&self, domain: &Domain) -> bool {
        self.domains.contains_key(domain) || self.hostnames.contains(domain)
    }

    /// One account.
    #[must_use]
    pub fn account(&self, name: &str) -> Option<&AccountEntry> {
        self.accounts.get(name)
    }

    /// All accounts, by name.
    pub fn accounts(&self) -> impl ExactSizeIterator<Item = &AccountEntry> {
        self.accounts.values()
    }

    /// All mail domains.
    pub fn domains(&self) -> impl Iterator<Item = (&Domain, &DomainRules)> {
        self.domains.iter()
    }
}

fn found_by(account: &AccountName, matched: Match) -> Lookup {
    Lookup::Found(Destination { account: account.clone(), matched })
}

impl DomainRules {
    /// The form of a local part under which it is looked up.
    pub(crate) fn canonical(&self, localpart: &str) -> String {
        match self.case {
            LocalpartCase::Folded => localpart.to_lowercase(),
            LocalpartCase::Kept => localpart.to_owned(),
        }
    }

    /// A local part up to its first separator. A separator at the very front separates nothing.
    fn without_subaddress<'a>(&self, localpart: &'a str) -> &'a str {
        self.separators.iter().fold(localpart, |rest, separator| match rest.split_once(separator.as_str()) {
            Some((base, _)) if !base.is_empty() => base,
            _ => rest,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Config;

    fn directory(extra: &str) -> Directory {
        let text = format!(
            r#"
            hostname = "mx.example.org"
            data-directory = "data"
            postmaster = "jane"
            {extra}
            [[listener]]
            addresses = "127.0.0.1"
            smtp = 25
            [domains."example.org"]
            subaddress-separators = ["+", "--"]
            [domains."example.net"]
            catch-all = "joe"
            [domains."case.example"]
            case-sensitive = true
            [domains."bücher.example"]
            [accounts.jane]
            addresses = ["Jane@example.org", "j+d@example.org", "Jane@case.example", "märz@bücher.example"]
            [accounts.joe]
            addresses = ["joe@example.net"]
            "#
        );
        let config = Config::parse(&text, "test.toml".as_ref()).unwrap_or_else(|problems| panic!("{problems}"));
        Arc::unwrap_or_clone(config.directory)
    }

    fn found(directory: &Directory, recipient: &str) -> String {
        let path = match recipient {
            "postmaster" => ForwardPath::Postmaster,
            address => ForwardPath::Address(Address::parse(address).unwrap()),
        };
        match directory.lookup(&path) {
            Lookup::Found(Destination { account, matched }) => format!("{account} {matched:?}"),
            other => format!("{other:?}"),
        }
    }

    #[test]
    fn rules_in_order() {
        let directory = directory("");
        for (recipient, expected) in [
            ("jane@example.org", "jane Explicit"),
            ("JANE@EXAMPLE.ORG", "jane Explicit"),
            ("jane+lists@example.org", "jane Explicit"),
            ("jane--x+y@example.org", "jane Explicit"),
            ("j+d@example.org", "jane Explicit"),
            ("j+d+more@example.org", "UnknownUser"),
            ("+jane@example.org", "UnknownUser"),
            ("john@example.org", "UnknownUser"),
            ("Joe@example.net", "joe Explicit"),
            ("joe+x@example.net", "joe CatchAll"),
            ("anyone@example.net", "joe CatchAll"),
            ("postmaster@example.net", "joe CatchAll"),
            ("Jane@case.example", "jane Explicit"),
            ("jane@case.example", "UnknownUser"),
            ("PostMaster@case.example", "jane Postmaster"),
            ("postmaster@mx.example.org", "jane Postmaster"),
            ("jane@mx.example.org", "UnknownUser"),
            ("postmaster", "jane Postmaster"),
            ("jane@elsewhere.example", "NotLocal"),
            ("jane@[192.0.2.1]", "NotLocal"),
            ("MÄRZ@xn--bcher-kva.example", "jane Explicit"),
        ] {
            assert_eq!(found(&directory, recipient), expected, "{recipient}");
        }
    }

    #[test]
    fn user_names() {
        let directory = directory("");
        let login = |name: &str| directory.login(name).map(|entry| entry.name.to_string());
        assert_eq!(login("jane").as_deref(), Some("jane"));
        assert_eq!(login("jane@example.org").as_deref(), Some("jane"));
        assert_eq!(login("jane+x@example.org").as_deref(), Some("jane"));
        assert_eq!(login("anyone@example.net"), None, "not by catch-all");
        assert_eq!(login("postmaster@example.org"), None);
        assert_eq!(login(""), None);
    }

    #[test]
    fn spellings_of_a_user_name() {
        let directory = directory("");
        for (username, canonical) in [
            ("John--x+y@EXAMPLE.org", "john@example.org"),
            ("John@case.example", "John@case.example"),
            ("MÄRZ@bücher.example", "märz@xn--bcher-kva.example"),
            ("John@elsewhere.example", "John@elsewhere.example"),
            ("John", "John"),
        ] {
            assert_eq!(directory.canonical_login(username), canonical);
        }
    }

    #[test]
    fn senders() {
        let directory = directory("");
        let jane = AccountName::parse("jane").unwrap();
        let may = |address: &str| directory.may_send_as(&jane, &Address::parse(address).unwrap());
        assert!(may("jane@example.org") && may("postmaster@example.org"));
        assert!(!may("joe@example.net") && !may("jane@elsewhere.example"));
    }

    #[test]
    fn a_sandbox_takes_everything() {
        let directory = directory("sandbox = { account = \"jane\" }");
        assert_eq!(found(&directory, "joe@example.net"), "joe Explicit");
        for recipient in ["x@elsewhere.example", "john@example.org", "a@[192.0.2.1]"] {
            assert_eq!(found(&directory, recipient), "jane Sandbox");
        }
        let jane = AccountName::parse("jane").unwrap();
        assert!(directory.may_send_as(&jane, &Address::parse("x@elsewhere.example").unwrap()));
        assert!(directory.login("x@elsewhere.example").is_none());
    }

    #[test]
    fn names_of_accounts() {
        for good in ["jane", "j.d-2_x", "0"] {
            assert!(AccountName::parse(good).is_some(), "{good}");
        }
        for bad in ["", "Jane", "a b", "../x", ".x", "-x", "a/b", "ä", &"x".repeat(65)] {
            assert!(AccountName::parse(bad).is_none(), "{bad}");
        }
    }
}
