//! The stored form of a [`Structure`]: one version octet, then numbers as LEB128 and strings with their length. Offsets
//! are written as differences, so that an ordinary message takes a few hundred octets, most of them its envelope.

use crate::Error;
use crate::address::{AddressItem, Mailbox};
use crate::envelope::Envelope;
use crate::structure::{Anomalies, ContentType, Disposition, Part, Structure};

const VERSION: u8 = 1;
/// Deepest tree that is read back: far above any sensible [`super::Limits::nesting`], far below the stack.
const MAX_DEPTH: usize = 1000;

// Presence bits of a part.
const EXPLICIT_TYPE: u64 = 1;
const DISPOSITION: u64 = 1 << 1;
const ENCODING: u64 = 1 << 2;
const ID: u64 = 1 << 3;
const DESCRIPTION: u64 = 1 << 4;
const MD5: u64 = 1 << 5;
const LOCATION: u64 = 1 << 6;
const LANGUAGE: u64 = 1 << 7;
const ENVELOPE: u64 = 1 << 8;
const DEFAULT_TYPE: u64 = 1 << 9;

impl Structure {
    /// The stored form.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Writer { octets: vec![VERSION] };
        out.number(self.size);
        out.number(u64::from(self.anomalies.bits()));
        out.part(&self.root, 0);
        out.octets
    }

    /// Reads the stored form back.
    ///
    /// # Errors
    /// [`Error::NewerStructure`] where a newer program wrote it, [`Error::DamagedStructure`] for anything else.
    pub fn decode(octets: &[u8]) -> Result<Structure, Error> {
        let mut input = Reader { octets, at: 0 };
        let version = input.octet()?;
        if version != VERSION {
            return Err(match version {
                0 => input.damaged(),
                found => Error::NewerStructure { found, supported: VERSION },
            });
        }
        let size = input.number()?;
        let anomalies = u16::try_from(input.number()?).map_err(|_| input.damaged())?;
        let root = input.part(0, 0)?;
        if input.at != octets.len() {
            return Err(input.damaged());
        }
        Ok(Structure { root, size, anomalies: Anomalies::from_bits(anomalies) })
    }
}

struct Writer {
    octets: Vec<u8>,
}

impl Writer {
    fn number(&mut self, mut number: u64) {
        while let Some(low) = u8::try_from(number & 0x7f).ok().filter(|_| number > 0x7f) {
            self.octets.push(low | 0x80);
            number >>= 7;
        }
        self.octets.push(u8::try_from(number).unwrap_or_default());
    }

    fn count(&mut self, count: usize) {
        self.number(count as u64);
    }

    fn text(&mut self, text: &str) {
        self.count(text.len());
        self.octets.extend_from_slice(text.as_bytes());
    }

    /// 0 for none, else the length plus one.
    fn optional(&mut self, text: Option<&str>) {
        match text {
            None => self.number(0),
            Some(text) => {
                self.count(text.len() + 1);
                self.octets.extend_from_slice(text.as_bytes());
            }
        }
    }

    fn params(&mut self, params: &[(String, String)]) {
        self.count(params.len());
        for (name, value) in params {
            self.text(name);
            self.text(value);
        }
    }

    fn part(&mut self, part: &Part, parent_body: u64) {
        self.number(part.header.start.saturating_sub(parent_body));
        self.number(part.header.end.saturating_sub(part.header.start));
        self.number(part.body.start.saturating_sub(part.header.end));
        self.number(part.size());
        self.number(part.lines);
        let default_type = part.content_type == ContentType::default();
        let texts = [
            (ENCODING, &part.encoding),
            (ID, &part.id),
            (DESCRIPTION, &part.description),
            (MD5, &part.md5),
            (LOCATION, &part.location),
        ];
        let mut present = 0;
        for (bit, is) in [
            (DEFAULT_TYPE, default_type),
            (EXPLICIT_TYPE, part.content_type.explicit),
            (DISPOSITION, part.disposition.is_some()),
            (LANGUAGE, !part.language.is_empty()),
            (ENVELOPE, part.envelope.is_some()),
        ] {
            present |= if is { bit } else { 0 };
        }
        present |= texts.iter().filter(|(_, text)| text.is_some()).map(|(bit, _)| bit).sum::<u64>();
        self.number(present);
        if !default_type {
            self.text(&part.content_type.kind);
            self.text(&part.content_type.subtype);
            self.params(&part.content_type.params);
        }
        if let Some(disposition) = &part.disposition {
            self.text(&disposition.kind);
            self.params(&disposition.params);
        }
        for (_, text) in texts {
            if let Some(text) = text {
                self.text(text);
            }
        }
        if !part.language.is_empty() {
            self.count(part.language.len());
            part.language.iter().for_each(|tag| self.text(tag));
        }
        if let Some(envelope) = &part.envelope {
            self.envelope(envelope);
        }
        self.count(part.children.len());
        for child in &part.children {
            self.part(child, part.body.start);
        }
    }

    fn envelope(&mut self, envelope: &Envelope) {
        for text in [&envelope.date, &envelope.subject, &envelope.in_reply_to, &envelope.message_id] {
            self.optional(text.as_deref());
        }
        for list in [&envelope.from, &envelope.sender, &envelope.reply_to, &envelope.to, &envelope.cc, &envelope.bcc] {
            self.count(list.len());
            list.iter().for_each(|item| self.address(item));
        }
    }

    fn address(&mut self, item: &AddressItem) {
        match item {
            AddressItem::Mailbox(mailbox) => {
                self.number(0);
                self.optional(mailbox.name.as_deref());
                self.optional(mailbox.route.as_deref());
                self.text(&mailbox.localpart);
                self.optional(mailbox.domain.as_deref());
            }
            AddressItem::GroupStart(name) => {
                self.number(1);
                self.text(name);
            }
            AddressItem::GroupEnd => self.number(2),
        }
    }
}

struct Reader<'a> {
    octets: &'a [u8],
    at: usize,
}

impl Reader<'_> {
    fn damaged(&self) -> Error {
        Error::DamagedStructure { offset: self.at }
    }

    fn octet(&mut self) -> Result<u8, Error> {
        let octet = self.octets.get(self.at).copied().ok_or_else(|| self.damaged())?;
        self.at += 1;
        Ok(octet)
    }

    fn number(&mut self) -> Result<u64, Error> {
        let mut number = 0_u64;
        for shift in (0..64).step_by(7) {
            let octet = self.octet()?;
            number |= u64::from(octet & 0x7f) << shift;
            if octet < 0x80 {
                return Ok(number);
            }
        }
        Err(self.damaged())
    }

    /// A count of things that take at least one octet each, so never more than what is left.
    fn count(&mut self) -> Result<usize, Error> {
        let count = usize::try_from(self.number()?).map_err(|_| self.damaged())?;
        if count > self.octets.len() - self.at { Err(self.damaged()) } else { Ok(count) }
    }

    fn take(&mut self, length: usize) -> Result<String, Error> {
        let end = self.at.checked_add(length).ok_or_else(|| self.damaged())?;
        let octets = self.octets.get(self.at..end).ok_or_else(|| self.damaged())?;
        let text = std::str::from_utf8(octets).map_err(|_| self.damaged())?.to_owned();
        self.at = end;
        Ok(text)
    }

    fn text(&mut self) -> Result<String, Error> {
        let length = self.count()?;
        self.take(length)
    }

    fn optional(&mut self) -> Result<Option<String>, Error> {
        match self.number()? {
            0 => Ok(None),
            length => {
                let length = usize::try_from(length - 1).map_err(|_| self.damaged())?;
                self.take(length).map(Some)
            }
        }
    }

    fn list<T>(&mut self, mut item: impl FnMut(&mut Self) -> Result<T, Error>) -> Result<Vec<T>, Error> {
        let count = self.count()?;
        (0..count).map(|_| item(self)).collect()
    }

    fn params(&mut self) -> Result<Vec<(String, String)>, Error> {
        self.list(|input| Ok((input.text()?, input.text()?)))
    }

    fn add(&self, base: u64, delta: u64) -> Result<u64, Error> {
        base.checked_add(delta).ok_or_else(|| self.damaged())
    }

    fn part(&mut self, parent_body: u64, depth: usize) -> Result<Part, Error> {
        if depth > MAX_DEPTH {
            return Err(self.damaged());
        }
        let mut at = parent_body;
        let mut offset = |input: &mut Self| -> Result<u64, Error> {
            let delta = input.number()?;
            at = input.add(at, delta)?;
            Ok(at)
        };
        let header = offset(self)?..offset(self)?;
        let body = offset(self)?..offset(self)?;
        let lines = self.number()?;
        let present = self.number()?;
        let has = |bit: u64| present & bit != 0;
        let mut part = Part { header, body, lines, ..Part::default() };
        if !has(DEFAULT_TYPE) {
            part.content_type = ContentType {
                kind: self.text()?,
                subtype: self.text()?,
                params: self.params()?,
                explicit: has(EXPLICIT_TYPE),
            };
        }
        if has(DISPOSITION) {
            part.disposition = Some(Disposition { kind: self.text()?, params: self.params()? });
        }
        for (bit, slot) in [
            (ENCODING, &mut part.encoding),
            (ID, &mut part.id),
            (DESCRIPTION, &mut part.description),
            (MD5, &mut part.md5),
            (LOCATION, &mut part.location),
        ] {
            if has(bit) {
                *slot = Some(self.text()?);
            }
        }
        if has(LANGUAGE) {
            part.language = self.list(Reader::text)?;
        }
        if has(ENVELOPE) {
            part.envelope = Some(Box::new(self.envelope()?));
        }
        let body_start = part.body.start;
        part.children = self.list(|input| input.part(body_start, depth + 1))?;
        Ok(part)
    }

    fn envelope(&mut self) -> Result<Envelope, Error> {
        Ok(Envelope {
            date: self.optional()?,
            subject: self.optional()?,
            in_reply_to: self.optional()?,
            message_id: self.optional()?,
            from: self.list(Reader::address)?,
            sender: self.list(Reader::address)?,
            reply_to: self.list(Reader::address)?,
            to: self.list(Reader::address)?,
            cc: self.list(Reader::address)?,
            bcc: self.list(Reader::address)?,
        })
    }

    fn address(&mut self) -> Result<AddressItem, Error> {
        match self.octet()? {
            0 => Ok(AddressItem::Mailbox(Mailbox {
                name: self.optional()?,
                route: self.optional()?,
                localpart: self.text()?,
                domain: self.optional()?,
            })),
            1 => Ok(AddressItem::GroupStart(self.text()?)),
            2 => Ok(AddressItem::GroupEnd),
            _ => Err(self.damaged()),
        }
    }
}
