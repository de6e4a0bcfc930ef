//! What threading needs of a message: its identifiers and its base subject (RFC 5256 §2.1 and §3, REFERENCES). How
//! threads are formed from them is the store's.

use crate::header::Fields;
use crate::id;
use crate::subject;

/// Most references kept: the oldest and the newest matter.
const MAX_REFERENCES: usize = 100;

/// Threading facts of one message.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Threading {
    /// Message-ID without angle brackets.
    pub message_id: Option<String>,
    /// Ancestors, the root first and the direct parent last, without brackets and repetitions. From References, or
    /// from the first identifier of In-Reply-To where there is none (RFC 5256 §3, step 1).
    pub references: Vec<String>,
    /// Base subject, RFC 5256 §2.1.
    pub base_subject: String,
    /// Whether the subject says that this is a reply or forward.
    pub is_reply: bool,
}

impl Threading {
    /// Reads the facts from a message header.
    #[must_use]
    pub fn parse(header: &[u8]) -> Threading {
        let value = |name: &str| Fields::find(header, name).map(|field| field.unfolded()).unwrap_or_default();
        let message_id = id::first(&value("Message-ID"));
        let mut references = id::list(&value("References"));
        if references.is_empty() {
            references.extend(id::first(&value("In-Reply-To")));
        }
        // Keep the last mention of each, so that the parent stays last; a message is not its own ancestor.
        let mut unique: Vec<String> = Vec::with_capacity(references.len().min(MAX_REFERENCES));
        for reference in references.into_iter().rev() {
            if message_id.as_ref() != Some(&reference) && !unique.contains(&reference) && unique.len() < MAX_REFERENCES
            {
                unique.push(reference);
            }
        }
        unique.reverse();
        let subject::Base { text: base_subject, is_reply } = subject::base(&value("Subject"));
        Threading { message_id, references: unique, base_subject, is_reply }
    }
}
