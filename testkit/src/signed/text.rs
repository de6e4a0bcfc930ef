//! Records as zone files have them (RFC 1035 §5.1, RFC 3597 §5, RFC 4034, RFC 5155 §3.3): reading one a line, and
//! writing.

use std::fmt::Write;
use std::str::FromStr;

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use mailstead_dns::{Name, Record, RecordType, Rrsig, Rtype};

use super::plan::DEFAULT_TTL;

/// HINFO, which the examples of the RFCs have.
const HINFO: Rtype = Rtype(13);
/// NSEC3PARAM.
pub(super) const NSEC3PARAM: Rtype = Rtype(51);

/// A record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) owner: Name,
    pub(super) ttl: u32,
    pub(super) rtype: Rtype,
    pub(super) data: Box<[u8]>,
}

/// A name that is relative unless it ends in a dot.
pub(super) fn name(text: &str, origin: &Name) -> Name {
    let absolute = match text {
        "@" => Some(origin.clone()),
        "." => Some(Name::root()),
        _ if text.ends_with('.') && !text.ends_with("\\.") => Name::parse(text),
        _ => Name::parse(text).and_then(|name| Name::from_labels(name.labels().chain(origin.labels()))),
    };
    absolute.unwrap_or_else(|| panic!("{text} is not a name"))
}

/// Reads `owner [TTL] [IN] type data`; nothing when the line is empty or a comment.
pub(super) fn entry(line: &str, origin: &Name) -> Option<Entry> {
    let words = words(line);
    let mut fields = Fields { words: words.iter().map(String::as_str).peekable(), origin, line };
    let owner = name(fields.words.next()?, origin);
    let ttl = match fields.words.peek() {
        Some(word) if word.bytes().all(|octet| octet.is_ascii_digit()) => fields.number(),
        _ => DEFAULT_TTL,
    };
    fields.words.next_if(|word| word.eq_ignore_ascii_case("IN"));
    let rtype = rtype(fields.word()).unwrap_or_else(|| panic!("no type in {line:?}"));
    let data = fields.data(rtype).into();
    assert!(fields.words.next().is_none(), "too much in {line:?}");
    Some(Entry { owner, ttl, rtype, data })
}

/// The words of a line; quoted ones without their quotes.
fn words(line: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut characters = line.chars().peekable();
    while let Some(first) = characters.next() {
        let mut word = String::new();
        match first {
            ';' => break,
            '"' => {
                while let Some(character) = characters.next().filter(|character| *character != '"') {
                    word.push(if character == '\\' { characters.next().unwrap_or('\\') } else { character });
                }
            }
            _ if first.is_whitespace() => continue,
            _ => {
                word.push(first);
                while let Some(character) = characters.next_if(|character| !character.is_whitespace()) {
                    word.push(character);
                }
            }
        }
        words.push(word);
    }
    words
}

fn rtype(word: &str) -> Option<Rtype> {
    if let Some(number) = word.strip_prefix("TYPE") {
        return number.parse().ok().map(Rtype);
    }
    match word {
        "DNAME" => Some(Rtype::DNAME),
        "DNSKEY" => Some(Rtype::DNSKEY),
        "HINFO" => Some(HINFO),
        _ => RecordType::parse(word).map(Rtype::from),
    }
}

/// What is left of a line.
struct Fields<'a, I: Iterator<Item = &'a str>> {
    words: std::iter::Peekable<I>,
    origin: &'a Name,
    line: &'a str,
}

impl<'a, I: Iterator<Item = &'a str>> Fields<'a, I> {
    fn word(&mut self) -> &'a str {
        self.words.next().unwrap_or_else(|| panic!("too little in {:?}", self.line))
    }

    fn number<T: FromStr>(&mut self) -> T {
        let word = self.word();
        word.parse().unwrap_or_else(|_| panic!("{word} is not a number of this size in {:?}", self.line))
    }

    fn name(&mut self) -> Vec<u8> {
        name(self.word(), self.origin).as_wire().to_vec()
    }

    fn rest(&mut self) -> String {
        self.words.by_ref().collect()
    }

    fn hexadecimal(&mut self) -> Vec<u8> {
        let digits = self.rest();
        let octet = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok();
        let octets = digits.as_bytes().chunks(2).map(octet).collect::<Option<_>>();
        octets.unwrap_or_else(|| panic!("no hexadecimal digits in {:?}", self.line))
    }

    fn string(&mut self) -> Vec<u8> {
        let word = self.word();
        let length = u8::try_from(word.len()).expect("a string has up to 255 octets");
        [&[length], word.as_bytes()].concat()
    }

    fn data(&mut self, rtype: Rtype) -> Vec<u8> {
        if self.words.next_if_eq(&"\\#").is_some() {
            let (length, data): (usize, _) = (self.number(), self.hexadecimal());
            assert_eq!(length, data.len(), "the length in {:?}", self.line);
            return data;
        }
        match rtype {
            Rtype::A => {
                let address: std::net::Ipv4Addr = self.number();
                address.octets().to_vec()
            }
            Rtype::AAAA => {
                let address: std::net::Ipv6Addr = self.number();
                address.octets().to_vec()
            }
            Rtype::NS | Rtype::CNAME | Rtype::PTR | Rtype::DNAME => self.name(),
            Rtype::MX => [self.number::<u16>().to_be_bytes().to_vec(), self.name()].concat(),
            Rtype::SRV => {
                let numbers = [self.number::<u16>(), self.number(), self.number()].map(u16::to_be_bytes);
                [numbers.as_flattened(), &self.name()].concat()
            }
            Rtype::SOA => {
                let names = [self.name(), self.name()].concat();
                let numbers = [(); 5].map(|()| self.number::<u32>().to_be_bytes());
                [&names, numbers.as_flattened()].concat()
            }
            Rtype::TXT | HINFO => {
                let mut strings = self.string();
                while self.words.peek().is_some() {
                    strings.extend(self.string());
                }
                strings
            }
            Rtype::CAA => [vec![self.number::<u8>()], self.string(), self.rest().into_bytes()].concat(),
            Rtype::TLSA => [vec![self.number::<u8>(), self.number(), self.number()], self.hexadecimal()].concat(),
            Rtype::DS => {
                let tag = self.number::<u16>().to_be_bytes().to_vec();
                [tag, vec![self.number::<u8>(), self.number()], self.hexadecimal()].concat()
            }
            Rtype::DNSKEY => {
                let flags = self.number::<u16>().to_be_bytes().to_vec();
                let numbers = vec![self.number::<u8>(), self.number()];
                let key = BASE64.decode(self.rest()).unwrap_or_else(|_| panic!("no key in {:?}", self.line));
                [flags, numbers, key].concat()
            }
            _ => panic!("data of type {rtype} is written as \\# in {:?}", self.line),
        }
    }
}

/// A record as a line of a zone file.
pub(super) fn line(owner: &Name, ttl: u32, rtype: Rtype, data: &[u8]) -> String {
    format!("{owner} {ttl} IN {rtype} {}", presentation(rtype, data).unwrap_or_else(|| generic(data)))
}

fn generic(data: &[u8]) -> String {
    format!("\\# {} {}", data.len(), hexadecimal(data))
}

pub(super) fn hexadecimal(data: &[u8]) -> String {
    data.iter().fold(String::new(), |mut text, octet| {
        // Writing to a string cannot fail.
        let _ = write!(text, "{octet:02x}");
        text
    })
}

fn presentation(rtype: Rtype, data: &[u8]) -> Option<String> {
    if let Some(record_type) = rtype.record_type() {
        return Record::from_data(record_type, data).map(|record| record.to_string());
    }
    let two = |at: usize| Some(u16::from_be_bytes([*data.get(at)?, *data.get(at + 1)?]));
    let text = match rtype {
        Rtype::DNAME => Name::from_wire(data)?.0.to_string(),
        Rtype::DNSKEY => format!("{} {} {} {}", two(0)?, data.get(2)?, data.get(3)?, BASE64.encode(data.get(4..)?)),
        Rtype::RRSIG => {
            let Rrsig { type_covered, algorithm, labels, original_ttl, expiration, inception, key_tag, signer, .. } =
                Rrsig::from_data(data)?;
            let signature = BASE64.encode(Rrsig::from_data(data)?.signature);
            // RFC 4034 §3.2: times may be plain seconds; of fewer than 14 digits, so that nobody takes them for dates.
            format!(
                "{type_covered} {algorithm} {labels} {original_ttl} {expiration} {inception} {key_tag} {signer} \
                 {signature}"
            )
        }
        Rtype::NSEC => {
            let (next, length) = Name::from_wire(data)?;
            format!("{next}{}", types(data.get(length..)?)?)
        }
        Rtype::NSEC3 => {
            let salt = data.get(5..5 + usize::from(*data.get(4)?))?;
            let rest = data.get(5 + salt.len()..)?;
            let (hash, bits) = rest.get(1..)?.split_at_checked(usize::from(*rest.first()?))?;
            let salt = if salt.is_empty() { "-".to_owned() } else { hexadecimal(salt) };
            format!(
                "{} {} {} {salt} {}{}",
                data.first()?,
                data.get(1)?,
                two(2)?,
                String::from_utf8(base32hex(hash)).ok()?,
                types(bits)?
            )
        }
        NSEC3PARAM => return None,
        _ => return None,
    };
    Some(text)
}

/// The types of a bitmap (RFC 4034 §4.1.2), each with a space in front.
fn types(mut bits: &[u8]) -> Option<String> {
    let mut text = String::new();
    while let [window, length, rest @ ..] = bits {
        let (bitmap, rest) = rest.split_at_checked(usize::from(*length))?;
        for (at, octet) in bitmap.iter().enumerate() {
            for bit in (0..8).filter(|bit| octet & (0x80 >> bit) != 0) {
                let _ = write!(text, " {}", Rtype(u16::from(*window) << 8 | (at * 8 + bit) as u16));
            }
        }
        bits = rest;
    }
    Some(text)
}

/// A bitmap of types (RFC 4034 §4.1.2).
pub(super) fn bitmap(types: impl IntoIterator<Item = Rtype>) -> Vec<u8> {
    let mut windows = std::collections::BTreeMap::<u8, [u8; 32]>::new();
    for rtype in types {
        let [window, low] = rtype.0.to_be_bytes();
        windows.entry(window).or_default()[usize::from(low / 8)] |= 0x80 >> (low % 8);
    }
    let mut data = Vec::new();
    for (window, bits) in windows {
        let length = 32 - bits.iter().rev().take_while(|octet| **octet == 0).count();
        data.extend([window, length as u8]);
        data.extend_from_slice(&bits[..length]);
    }
    data
}

/// Base 32 with the extended hex alphabet, small letters, without padding (RFC 4648 §7, RFC 5155 §3.3).
pub(super) fn base32hex(data: &[u8]) -> Vec<u8> {
    const ALPHABET: &[u8; 32] = b"0123456789abcdefghijklmnopqrstuv";
    let mut text = Vec::new();
    for group in data.chunks(5) {
        let bits = (0..5).fold(0_u64, |bits, at| bits << 8 | u64::from(group.get(at).copied().unwrap_or(0)));
        let digits = (group.len() * 8).div_ceil(5);
        text.extend((0..digits).map(|digit| ALPHABET[(bits >> (35 - 5 * digit)) as usize & 31]));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn origin() -> Name {
        Name::parse("example").unwrap()
    }

    #[test]
    fn records_are_written_as_they_are_read() {
        let lines = [
            "www.example. 300 IN A 192.0.2.1",
            "www.example. 0 IN AAAA 2001:db8::1",
            "example. 3600 IN MX 10 mx.example.",
            "example. 300 IN TXT \"v=spf1 -all\" \"a\\\"b\"",
            "_25._tcp.mx.example. 300 IN TLSA 3 1 1 abcdef",
            "_imap._tcp.example. 300 IN SRV 0 1 993 imap.example.",
            "*.example. 300 IN CNAME www.example.net.",
            "old.example. 300 IN DNAME new.example.",
            "example. 300 IN CAA 0 issue \"ca.example\"",
            "example. 300 IN SOA ns.example. root.example. 1 2 3 4 5",
            "sub.example. 300 IN DS 1 13 2 00ff",
            "sub.example. 300 IN DNSKEY 257 3 15 AAEC",
            "x.example. 300 IN TYPE65280 \\# 2 0aff",
        ];
        for printed in lines {
            let read = entry(printed, &origin()).unwrap();
            assert_eq!(line(&read.owner, read.ttl, read.rtype, &read.data), printed);
        }
        assert_eq!(entry("  ; nothing", &origin()), None);
        let relative = entry("@ MX 10 mx", &origin()).unwrap();
        assert_eq!(
            line(&relative.owner, relative.ttl, relative.rtype, &relative.data),
            "example. 300 IN MX 10 mx.example."
        );
    }

    #[test]
    fn bitmap_of_rfc_4034() {
        // §4.3: A MX RRSIG NSEC TYPE1234
        let mut expected = vec![0x00, 0x06, 0x40, 0x01, 0x00, 0x00, 0x00, 0x03, 0x04, 0x1b];
        expected.extend([0; 26]);
        expected.push(0x20);
        let bits = bitmap([Rtype(1234), Rtype::A, Rtype::NSEC, Rtype::MX, Rtype::RRSIG]);
        assert_eq!(bits, expected);
        assert_eq!(types(&bits).unwrap(), " A MX RRSIG NSEC TYPE1234");
        assert_eq!(bitmap([]), b"");
    }

    #[test]
    fn base32_of_rfc_4648() {
        // §10, in small letters and without padding.
        for (data, text) in [
            ("", ""),
            ("f", "co"),
            ("fo", "cpng"),
            ("foo", "cpnmu"),
            ("foob", "cpnmuog"),
            ("fooba", "cpnmuoj1"),
            ("foobar", "cpnmuoj1e8"),
        ] {
            assert_eq!(base32hex(data.as_bytes()), text.as_bytes());
        }
    }
}
