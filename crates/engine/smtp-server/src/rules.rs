//! Which rule of a recipient fits a message. Pure.

use mailstead_config::{Rule, RuleKind};
use mailstead_message::{Fields, address};
use mailstead_names::ReversePath;

use crate::authentication::Authentication;

/// What rules look at.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Subject<'a> {
    pub(crate) sender: &'a ReversePath,
    pub(crate) header: &'a [u8],
    /// Nothing where nothing was checked; then no condition on a verified domain holds.
    pub(crate) authentication: Option<&'a Authentication>,
}

/// The first rule all of whose conditions hold.
pub(crate) fn first_match<'r>(rules: &'r [Rule], subject: Subject<'_>) -> Option<&'r Rule> {
    rules.iter().find(|rule| fits(rule, subject))
}

fn fits(rule: &Rule, subject: Subject<'_>) -> bool {
    let domains = match &rule.kind {
        RuleKind::Plain => None,
        RuleKind::List(domain) | RuleKind::Forwarder(domain) => Some(domain),
    };
    let is_verified = |domain: &_| {
        let mut verified = subject.authentication.into_iter().flat_map(Authentication::verified_domains);
        verified.any(|verified| verified.is_subdomain_of(domain))
    };
    let mail_from = || subject.sender.address().map(ToString::to_string).unwrap_or_default();
    rule.verified_domain.iter().chain(domains).all(is_verified)
        && rule.mail_from.as_ref().is_none_or(|pattern| pattern.is_match(&mail_from()))
        && rule.from.as_ref().is_none_or(|pattern| pattern.is_match(&author(subject.header).unwrap_or_default()))
        && rule.headers.iter().all(|(name, value)| {
            Fields::new(subject.header).any(|field| name.is_match(field.name()) && value.is_match(&field.unfolded()))
        })
}

/// The address in From, where there is one.
fn author(header: &[u8]) -> Option<String> {
    let field = Fields::find(header, "From")?;
    let items = address::list(&field.unfolded());
    let mailbox = address::mailboxes(&items).next()?;
    Some(mailbox.addr_spec())
}

#[cfg(test)]
mod tests {
    use mailstead_config::Config;

    use super::*;

    fn rules(text: &str) -> Vec<Rule> {
        let source = format!(
            "hostname = \"mx.example.org\"\ndata-directory = \"data\"\npostmaster = \"jane\"\n[[listener]]\n\
             addresses = \"127.0.0.1\"\nsmtp = 25\n[accounts.jane]\naddresses = []\n{text}"
        );
        let config = Config::parse(&source, "test.toml".as_ref()).unwrap_or_else(|problems| panic!("{problems}"));
        config.directory.account("jane").unwrap().rules.clone()
    }

    #[test]
    fn all_conditions_of_the_first_rule_that_fits() {
        let rules = rules(
            "[[accounts.jane.rules]]\nheaders = [\"list-id: <users\\\\.example\\\\.org>\"]\nmailbox = \"Users\"\n\
             [[accounts.jane.rules]]\nfrom = \"@shop\\\\.example$\"\nmail-from = \"^bounce\"\nmailbox = \"Shop\"\n\
             [[accounts.jane.rules]]\nverified-domain = \"example.net\"\n",
        );
        let mailbox = |sender: &str, header: &str| {
            let sender = ReversePath::parse(sender).unwrap();
            let subject = Subject { sender: &sender, header: header.as_bytes(), authentication: None };
            first_match(&rules, subject).map(|rule| rule.mailbox.clone().unwrap_or_default())
        };
        assert_eq!(mailbox("<a@b.example>", "List-ID: Users <users.EXAMPLE.org>\r\n").as_deref(), Some("Users"));
        assert_eq!(mailbox("<a@b.example>", "X-List-ID: <users.example.org>\r\n"), None);
        let shop = "From: Shop <Info@Shop.example>\r\n";
        assert_eq!(mailbox("<bounce-1@shop.example>", shop).as_deref(), Some("Shop"));
        assert_eq!(mailbox("<info@shop.example>", shop), None);
        // Nothing is verified where nothing was checked.
        assert_eq!(mailbox("<a@example.net>", "From: a@example.net\r\n"), None);
    }
}
