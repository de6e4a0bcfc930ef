//! Messages with whatever is odd and legal, the same ones every time.

/// A message, and whether the white space after its colons is odd.
pub(crate) struct Generated {
    pub(crate) message: Vec<u8>,
    pub(crate) is_odd: bool,
}

/// Numbers that look random (xorshift64*).
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) as usize % limit
    }

    fn one<'a, T: ?Sized>(&mut self, of: &[&'a T]) -> &'a T {
        of[self.below(of.len())]
    }

    fn is(&mut self, one_in: usize) -> bool {
        self.below(one_in) == 0
    }
}

/// An endless row of messages.
pub(crate) fn generate() -> impl Iterator<Item = Generated> {
    let mut numbers = Numbers(0x9e37_79b9_7f4a_7c15);
    std::iter::from_fn(move || {
        let is_odd = numbers.is(2);
        let mut message = header(&mut numbers, is_odd);
        // Now and then nothing at all comes after the header, not even an empty line.
        if !numbers.is(40) {
            message.extend_from_slice(b"\r\n");
            message.extend(body(&mut numbers));
        }
        Some(Generated { message, is_odd })
    })
}

fn header(numbers: &mut Numbers, is_odd: bool) -> Vec<u8> {
    let mut fields: Vec<(&str, Vec<u8>)> = Vec::new();
    for _ in 0..numbers.below(4) {
        fields.push(("Received", b"from a.example (a.example [192.0.2.1])\r\n\tby b.example with ESMTPS id 1\r\n\t(using TLS);\r\n  Fri, 11 Jul 2003 21:00:37 -0700".to_vec()));
    }
    let from: &[&[u8]] = &[
        b"a@example.org",
        b"\"Doe, Jane\" <jane@example.org>",
        b"=?utf-8?q?J=C3=BCrgen?=\r\n <j@example.org>",
        "Jürgen <jürgen@example.org>".as_bytes(),
        b"Jane (nested (comment)) <a@example.org> (comment)",
    ];
    fields.push((numbers.one(&["From", "FROM", "from"]), numbers.one(from).to_vec()));
    if !numbers.is(8) {
        fields.push(("Subject", text(numbers, 100)));
    }
    fields.push(("To", text(numbers, 60)));
    fields.push(("Date", b"Fri, 11 Jul 2003 21:00:37 -0700 (PDT)".to_vec()));
    for (name, one_in) in [
        ("Cc", 3),
        ("Reply-To", 4),
        ("MIME-Version", 2),
        ("Content-Type", 2),
        ("Message-ID", 2),
        ("References", 3),
        ("List-Unsubscribe", 4),
        ("X-Empty", 4),
        ("Comments", 4),
        ("Comments", 4),
        ("X-!#$%&'*+-/=?^_`{|}~", 6),
    ] {
        if numbers.is(one_in) {
            let value = if name == "X-Empty" { Vec::new() } else { text(numbers, 200) };
            fields.push((name, value));
        }
    }
    if numbers.is(15) {
        fields.push(("References", b"<a@b> ".repeat(150).trim_ascii().to_vec()));
    }
    // Any order.
    for last in (1..fields.len()).rev() {
        fields.swap(last, numbers.below(last + 1));
    }
    let mut header = Vec::new();
    for (name, value) in fields {
        let space = if is_odd { numbers.one(&["", "  ", "\t", " \t ", "\r\n ", " ", " "]) } else { " " };
        // A field without value has no white space in OpenDKIM's test mode either.
        let space = if value.is_empty() && !is_odd { " x" } else { space };
        header.extend_from_slice(name.as_bytes());
        header.push(b':');
        header.extend_from_slice(space.as_bytes());
        header.extend(value);
        header.extend_from_slice(b"\r\n");
    }
    header
}

/// The value of a field: words with all kinds of white space between them, some not in ASCII; not beginning with white
/// space.
fn text(numbers: &mut Numbers, most: usize) -> Vec<u8> {
    let length = 1 + numbers.below(most);
    let mut text = b"w".to_vec();
    while text.len() < length {
        let piece: &[u8] = match numbers.below(14) {
            0 => b"  ",
            1 => b" \t ",
            2 => b"\r\n ",
            3 => b" \r\n\t",
            4 => "äöü€".as_bytes(),
            5 => b"=?utf-8?b?w6Q=?=",
            6 => b"a:b;c=d",
            7 => b"\"q \\\" q\"",
            8 => b"\xff\xfe",
            _ => b" word",
        };
        text.extend_from_slice(piece);
    }
    // The last line of a folded field has more than white space on it.
    text.push(b'.');
    if numbers.is(4) {
        text.extend_from_slice(b" \t");
    }
    text
}

fn body(numbers: &mut Numbers) -> Vec<u8> {
    let mut body = Vec::new();
    match numbers.below(10) {
        0 => {}
        1 => body.extend_from_slice(&b"\r\n".repeat(1 + numbers.below(5))),
        2 => body.extend_from_slice(&b" \t\r\n".repeat(1 + numbers.below(3))),
        3 => body.extend([b"x".repeat(998 + numbers.below(8000)), b"\r\n".to_vec()].concat()),
        4 => body.extend(b"QUJD".repeat(19).into_iter().chain(*b"\r\n").collect::<Vec<_>>().repeat(100)),
        _ => {
            for _ in 0..numbers.below(40) {
                let line: &[u8] = match numbers.below(12) {
                    0 => b"",
                    1 => b" ",
                    2 => b"\t \t",
                    3 => b" leading",
                    4 => b"trailing \t ",
                    5 => b"in \t  between",
                    6 => "Grüße €".as_bytes(),
                    7 => b"8-bit \xe4\xf6\xfc\x80\xff",
                    8 => b".",
                    9 => b"..two",
                    10 => b"From the beginning",
                    _ => b"--\x0b\x0c\x1b control",
                };
                body.extend_from_slice(line);
                body.extend_from_slice(b"\r\n");
            }
        }
    }
    body.extend_from_slice(&b"\r\n".repeat(numbers.below(3)));
    body
}

/// The message with one octet changed that is neither a line end nor before the value of a field; nothing where it has no
/// such octet at the place that the number leads to.
pub(crate) fn changed(message: &[u8], number: usize) -> Option<Vec<u8>> {
    let from = message.windows(7).position(|octets| octets.eq_ignore_ascii_case(b"\r\nFrom:"))? + 7;
    let at = from + (number * 7919) % (message.len() - from).max(1);
    let mut changed = message.to_vec();
    let line_start = message[..at].iter().rposition(|octet| *octet == b'\n').map_or(0, |lf| lf + 1);
    let is_body = message.windows(4).position(|octets| octets == b"\r\n\r\n").is_some_and(|end| at >= end + 4);
    let is_within_value = is_body || (at > line_start && message[line_start..at].contains(&b':'));
    let octet = changed.get_mut(at)?;
    if !is_within_value || matches!(*octet, b'\r' | b'\n') {
        return None;
    }
    *octet = match *octet {
        b' ' => b'\t',
        b'q' => b' ',
        _ => b'q',
    };
    Some(changed)
}
