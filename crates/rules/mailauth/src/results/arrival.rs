//! Fields that must not come in from outside (RFC 8601 §5).

use mailstead_message::{Field, Fields};
use mailstead_names::Domain;

use super::parse::authserv;
use super::{AuthenticationResults, FIELD, ParseError, VERSION};

/// Why a field must go.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Removal {
    /// It says that one of us had written it.
    Forged,
    /// Readers here could misunderstand it: it has another version.
    UnsupportedVersion(u32),
}

/// Whether a field says that it was written by `authserv_id`. `value` is what stands after the colon, folded or not.
///
/// Case of letters, A-labels and U-labels, and a final dot make no difference. A field that nobody can read is taken for
/// one of ours as soon as it names us anywhere: another program may find a way to read it.
///
/// ```
/// use mailstead_mailauth::results::claims;
///
/// assert!(claims("(comment) \"MX.example.org\" 1; dkim=pass header.d=bank.example", "mx.example.org"));
/// assert!(!claims("mx.example.net; dkim=pass header.d=mx.example.org", "mx.example.org"));
/// ```
pub fn claims(value: &str, authserv_id: &str) -> bool {
    let ours = Id::new(authserv_id);
    if authserv(value).is_ok_and(|(id, _)| ours.is(&id)) {
        return true;
    }
    match AuthenticationResults::parse(value) {
        Ok(_) | Err(ParseError::Version(_)) => false,
        Err(_) => {
            let is_name = |c: char| c.is_alphanumeric() || !c.is_ascii() || "-_.".contains(c);
            value.split(|c| !is_name(c)).any(|word| ours.is(word))
        }
    }
}

/// Whether a field that came from outside must be removed, where `authserv_ids` are those used inside.
pub fn must_be_removed<Id: AsRef<str>>(value: &str, authserv_ids: &[Id]) -> Option<Removal> {
    if authserv_ids.iter().any(|id| claims(value, id.as_ref())) {
        return Some(Removal::Forged);
    }
    match authserv(value) {
        Ok((_, Some(version))) if version != VERSION => Some(Removal::UnsupportedVersion(version)),
        _ => None,
    }
}

/// The fields of a header that [`must_be_removed`].
pub fn forged_fields<'a, Id: AsRef<str>>(
    header: &'a [u8],
    authserv_ids: &[Id],
) -> impl Iterator<Item = (Field<'a>, Removal)> {
    Fields::new(header)
        .filter(|field| field.is(FIELD))
        .filter_map(|field| must_be_removed(&field.unfolded(), authserv_ids).map(|removal| (field, removal)))
}

/// An authserv-id in the forms that it may have.
struct Id {
    text: String,
    domain: Option<Domain>,
}

impl Id {
    fn new(text: &str) -> Id {
        let text = text.strip_suffix('.').unwrap_or(text).to_lowercase();
        Id { domain: Domain::parse_lenient(&text).ok(), text }
    }

    fn is(&self, other: &str) -> bool {
        let other = other.strip_suffix('.').unwrap_or(other);
        if other.eq_ignore_ascii_case(&self.text) {
            return true;
        }
        let Some(domain) = &self.domain else { return false };
        // Only international names have further spellings.
        let international = !other.is_ascii() || other.to_ascii_lowercase().contains("xn--");
        international && Domain::parse_lenient(other).is_ok_and(|other| other == *domain)
    }
}
