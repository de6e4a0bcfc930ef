//! Mailbox patterns: `*` matches anything, `%` anything within a level (RFC 9051 §6.3.9).

use mailstead_imap::MailboxName;

/// A pattern with its reference in front.
#[derive(Debug, Clone)]
pub(super) struct Pattern(Vec<char>);

impl Pattern {
    pub(super) fn new(reference: &str, pattern: &str) -> Pattern {
        let mut characters: Vec<char> = reference.chars().chain(pattern.chars()).collect();
        // A run of wildcards is worth one.
        characters.dedup_by(|next, kept| {
            let run = is_wildcard(*kept) && is_wildcard(*next);
            if run && *next == '*' {
                *kept = '*';
            }
            run
        });
        Pattern(characters)
    }

    /// Whether the pattern matches the whole name. Takes at most the product of both lengths in steps, whatever the
    /// client thinks up.
    pub(super) fn matches(&self, name: &str) -> bool {
        let literal = self.0.iter().filter(|c| !is_wildcard(**c)).count();
        if literal > name.len() {
            return false;
        }
        // INBOX is not case-sensitive, also as the first level (RFC 9051 §5.1).
        let first = name.split(MailboxName::DELIMITER).next().unwrap_or_default();
        let any_case = if first == MailboxName::INBOX { first.len() } else { 0 };
        // `reached[n]`: the first n characters of the pattern match what of the name has been read.
        let mut reached = vec![false; self.0.len() + 1];
        reached[0] = true;
        self.skip_wildcards(&mut reached);
        for (at, c) in name.chars().enumerate() {
            let mut next = vec![false; reached.len()];
            for (index, expected) in self.0.iter().enumerate().filter(|(index, _)| reached[*index]) {
                match expected {
                    '*' => next[index] = true,
                    '%' => next[index] |= c != MailboxName::DELIMITER,
                    expected => {
                        next[index + 1] |= *expected == c || at < any_case && expected.eq_ignore_ascii_case(&c);
                    }
                }
            }
            self.skip_wildcards(&mut next);
            reached = next;
        }
        reached.last().copied().unwrap_or(false)
    }

    /// A wildcard also matches nothing.
    fn skip_wildcards(&self, reached: &mut [bool]) {
        for (index, c) in self.0.iter().enumerate() {
            if reached[index] && is_wildcard(*c) {
                reached[index + 1] = true;
            }
        }
    }
}

fn is_wildcard(c: char) -> bool {
    matches!(c, '*' | '%')
}
