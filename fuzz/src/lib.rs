//! What several targets need.

/// Cuts an input into pieces as a network might; the first octet says how.
///
/// Returns the payload and the pieces that it is to be fed in.
pub fn cut(data: &[u8]) -> (&[u8], impl Iterator<Item = &[u8]>) {
    let (size, payload) = data.split_first().map_or((1, data), |(first, rest)| (usize::from(*first % 32) + 1, rest));
    (payload, payload.chunks(size))
}

/// Text and what it says, joined where events of one kind follow each other: two ways of feeding the same octets must
/// give the same trace.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Trace(Vec<(&'static str, Vec<u8>)>);

impl Trace {
    /// An event that stands for itself.
    pub fn event(&mut self, event: &impl std::fmt::Debug) {
        self.0.push(("event", format!("{event:?}").into_bytes()));
    }

    /// Octets of a stream, in whatever pieces they come.
    pub fn stream(&mut self, kind: &'static str, octets: &[u8]) {
        if octets.is_empty() {
            return;
        }
        match self.0.last_mut() {
            Some((last, seen)) if *last == kind => seen.extend_from_slice(octets),
            _ => self.0.push((kind, octets.to_vec())),
        }
    }
}
