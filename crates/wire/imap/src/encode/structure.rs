//! ENVELOPE, BODY and BODYSTRUCTURE (RFC 9051 §7.5.2).
//!
//! Media types, encodings and parameter names are case-insensitive (RFC 2045 §5.1) and written in upper case, as the
//! examples of RFC 9051 do; values are written as they are.

use mailstead_message::structure::Shape;
use mailstead_message::{AddressItem, ContentType, Envelope, Part};

use super::Encoder;

/// Whether extension data is written: BODYSTRUCTURE has it, BODY must not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Extension {
    With,
    Without,
}

/// `envelope = "(" env-date SP env-subject SP env-from SP env-sender SP env-reply-to SP env-to SP env-cc SP env-bcc SP
/// env-in-reply-to SP env-message-id ")"`
pub(super) fn envelope(out: &mut Encoder, envelope: &Envelope) {
    out.put('(');
    out.nstring(envelope.date.as_deref());
    out.put(' ');
    out.nstring(envelope.subject.as_deref());
    let lists = [
        envelope.from.as_slice(),
        envelope.effective_sender(),
        envelope.effective_reply_to(),
        &envelope.to,
        &envelope.cc,
        &envelope.bcc,
    ];
    for list in lists {
        out.put(' ');
        addresses(out, list);
    }
    out.put(' ');
    out.nstring(envelope.in_reply_to.as_deref());
    out.put(' ');
    out.nstring(envelope.message_id.as_deref());
    out.put(')');
}

/// `"(" 1*address ")" / nil`, `address = "(" addr-name SP addr-adl SP addr-mailbox SP addr-host ")"`
fn addresses(out: &mut Encoder, list: &[AddressItem]) {
    if list.is_empty() {
        return out.put("NIL");
    }
    out.put('(');
    for item in list {
        let (name, route, mailbox, host) = match item {
            AddressItem::Mailbox(mailbox) => (
                mailbox.name.as_deref(),
                mailbox.route.as_deref(),
                Some(mailbox.localpart.as_str()),
                // A NIL host would make it a group.
                Some(mailbox.domain.as_deref().unwrap_or_default()),
            ),
            AddressItem::GroupStart(name) => (None, None, Some(name.as_str()), None),
            AddressItem::GroupEnd => (None, None, None, None),
        };
        out.list([name, route, mailbox, host], Encoder::nstring);
    }
    out.put(')');
}

/// `body = "(" (body-type-1part / body-type-mpart) ")"`
pub(super) fn body(out: &mut Encoder, part: &Part, extension: Extension) {
    out.put('(');
    match part.shape() {
        // body-type-mpart = 1*body SP media-subtype [SP body-ext-mpart]
        Shape::Multipart(children) => {
            for child in children {
                body(out, child, extension);
            }
            out.put(' ');
            upper(out, &part.content_type.subtype);
            if extension == Extension::With {
                out.put(' ');
                content_type_params(out, &part.content_type);
            }
        }
        // body-type-1part = (body-type-basic / body-type-msg / body-type-text) [SP body-ext-1part]
        shape => {
            body_fields(out, part);
            match shape {
                Shape::Text => out.put(format_args!(" {}", part.lines)),
                Shape::Message(message) => {
                    out.put(' ');
                    match &message.envelope {
                        Some(of_message) => envelope(out, of_message),
                        None => envelope(out, &Envelope::default()),
                    }
                    out.put(' ');
                    body(out, message, extension);
                    out.put(format_args!(" {}", part.lines));
                }
                Shape::Multipart(_) | Shape::Basic => {}
            }
            if extension == Extension::With {
                out.put(' ');
                out.nstring(part.md5.as_deref());
            }
        }
    }
    if extension == Extension::With {
        extension_data(out, part);
    }
    out.put(')');
}

/// `media-type SP media-subtype SP body-fld-param SP body-fld-id SP body-fld-desc SP body-fld-enc SP body-fld-octets`
fn body_fields(out: &mut Encoder, part: &Part) {
    let (kind, subtype) = part.shown_type();
    upper(out, kind);
    out.put(' ');
    upper(out, subtype);
    out.put(' ');
    content_type_params(out, &part.content_type);
    out.put(' ');
    out.nstring(part.id.as_deref());
    out.put(' ');
    out.nstring(part.description.as_deref());
    out.put(' ');
    upper(out, part.encoding.as_deref().unwrap_or("7BIT"));
    out.put(format_args!(" {}", part.size()));
}

/// `SP body-fld-dsp SP body-fld-lang SP body-fld-loc`
fn extension_data(out: &mut Encoder, part: &Part) {
    out.put(' ');
    match &part.disposition {
        Some(disposition) => {
            out.put('(');
            out.string(&disposition.kind);
            out.put(' ');
            params(out, &disposition.params);
            out.put(')');
        }
        None => out.put("NIL"),
    }
    out.put(' ');
    match part.language.as_slice() {
        [] => out.put("NIL"),
        [language] => out.string(language),
        languages => out.list(languages, |out, language| out.string(language)),
    }
    out.put(' ');
    out.nstring(part.location.as_deref());
}

/// The parameters of a media type; of a default one also the values in upper case, as RFC 9051 §7.5.2 shows it.
fn content_type_params(out: &mut Encoder, content_type: &ContentType) {
    if content_type.explicit {
        return params(out, &content_type.params);
    }
    let shown: Vec<_> =
        content_type.params.iter().map(|(name, value)| (name.clone(), value.to_ascii_uppercase())).collect();
    params(out, &shown);
}

/// `body-fld-param = "(" string SP string *(SP string SP string) ")" / nil`
fn params(out: &mut Encoder, params: &[(String, String)]) {
    if params.is_empty() {
        return out.put("NIL");
    }
    out.list(params, |out, (name, value)| {
        upper(out, name);
        out.put(' ');
        out.string(value);
    });
}

fn upper(out: &mut Encoder, text: &str) {
    out.string(&text.to_ascii_uppercase());
}
