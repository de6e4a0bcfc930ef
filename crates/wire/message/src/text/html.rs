//! HTML to the text a reader sees, in pieces, for search and preview. Not a sanitiser: nothing that comes out is meant
//! to be shown as HTML again.

use mail_parser::decoders::html::add_html_token;

/// Elements whose content is never text to a reader and is not markup either.
const RAW: [&str; 2] = ["script", "style"];
/// Elements whose content is not shown.
const HIDDEN: [&str; 3] = ["head", "template", "title"];
/// Elements that end a line.
const BLOCKS: [&str; 24] = [
    "address",
    "article",
    "blockquote",
    "body",
    "br",
    "dd",
    "div",
    "dl",
    "dt",
    "footer",
    "h1",
    "h2",
    "h3",
    "h4",
    "h5",
    "h6",
    "header",
    "hr",
    "li",
    "ol",
    "p",
    "section",
    "tr",
    "ul",
];
const MAX_NAME: usize = 16;
const MAX_ENTITY: usize = 32;

/// Turns HTML into text, keeping state between pieces.
#[derive(Debug, Default)]
pub(super) struct Stripper {
    state: State,
    hidden: Option<&'static str>,
    gap: Gap,
    started: bool,
}

#[derive(Debug, Default)]
enum State {
    #[default]
    Text,
    Entity(String),
    /// After `<`; the name in lower case with a leading `/` for an end tag.
    Tag {
        name: String,
        named: bool,
        quote: Option<char>,
    },
    Comment {
        dashes: usize,
    },
    /// Inside a raw element, with how much of its end tag was seen.
    Raw {
        name: &'static str,
        matched: usize,
    },
}

/// White space owed before the next visible character.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Gap {
    #[default]
    None,
    Space,
    Line,
}

impl Stripper {
    pub(super) fn feed(&mut self, html: &str, out: &mut String) {
        for c in html.chars() {
            self.step(c, out);
        }
    }

    pub(super) fn finish(&mut self, out: &mut String) {
        if let State::Entity(entity) = std::mem::take(&mut self.state) {
            entity.chars().for_each(|c| self.visible(c, out));
        }
    }

    fn step(&mut self, c: char, out: &mut String) {
        match &mut self.state {
            State::Text => match c {
                '<' => self.state = State::Tag { name: String::new(), named: false, quote: None },
                '&' => self.state = State::Entity("&".to_owned()),
                _ => self.visible(c, out),
            },
            State::Entity(entity) => {
                let more = c.is_ascii_alphanumeric() || (c == '#' && entity.len() == 1);
                if more && entity.len() < MAX_ENTITY {
                    entity.push(c);
                    return;
                }
                let mut entity = std::mem::take(entity);
                self.state = State::Text;
                let mut decoded = String::new();
                if entity.len() > 1 {
                    entity.push(';');
                    add_html_token(&mut decoded, entity.as_bytes(), false);
                    if decoded == entity && c != ';' {
                        decoded.pop();
                    }
                } else {
                    decoded = entity;
                }
                decoded.chars().for_each(|c| self.visible(c, out));
                if c != ';' {
                    self.step(c, out);
                }
            }
            State::Tag { name, named, quote } => match (*quote, c) {
                (Some(open), _) => {
                    if c == open {
                        *quote = None;
                    }
                }
                (None, '>') => {
                    let name = std::mem::take(name);
                    self.state = State::Text;
                    self.tag(&name);
                }
                (None, '"' | '\'') if *named => *quote = Some(c),
                _ if *named => {}
                _ if c.is_ascii_alphanumeric() || (name.is_empty() && matches!(c, '/' | '!' | '?')) => {
                    if name.len() < MAX_NAME {
                        name.push(c.to_ascii_lowercase());
                    }
                }
                _ if name == "!" && c == '-' => self.state = State::Comment { dashes: 0 },
                _ if name.is_empty() => {
                    // `a < b` is text.
                    self.state = State::Text;
                    self.visible('<', out);
                    self.step(c, out);
                }
                _ => *named = true,
            },
            State::Comment { dashes } => match c {
                '-' => *dashes += 1,
                // Counting from the second dash of `<!--`: `<!-->` is an empty comment to browsers too.
                '>' if *dashes >= 2 => self.state = State::Text,
                _ => *dashes = 0,
            },
            State::Raw { name, matched } => {
                let expected = "</".chars().chain(name.chars()).nth(*matched);
                if expected == Some(c.to_ascii_lowercase()) {
                    *matched += 1;
                    if *matched == name.len() + 2 {
                        self.state = State::Tag { name: format!("/{name}"), named: true, quote: None };
                    }
                } else {
                    *matched = usize::from(c == '<');
                }
            }
        }
    }

    fn tag(&mut self, name: &str) {
        let bare = name.trim_start_matches('/');
        if let Some(raw) = RAW.iter().find(|raw| **raw == name) {
            self.state = State::Raw { name: raw, matched: 0 };
        } else if self.hidden.is_none() {
            self.hidden = HIDDEN.iter().copied().find(|hidden| *hidden == name);
        } else if self.hidden == Some(bare) || bare == "body" {
            self.hidden = None;
        }
        let gap = match bare {
            "td" | "th" => Gap::Space,
            _ if BLOCKS.contains(&bare) => Gap::Line,
            _ => Gap::None,
        };
        self.gap = self.gap.max(gap);
    }

    fn visible(&mut self, c: char, out: &mut String) {
        if self.hidden.is_some() {
            return;
        }
        if c.is_whitespace() {
            self.gap = self.gap.max(Gap::Space);
            return;
        }
        // Invisible padding that bulk mail puts before its text.
        if matches!(c, '\u{200b}'..='\u{200d}' | '\u{feff}' | '\u{ad}' | '\u{34f}') {
            return;
        }
        match std::mem::take(&mut self.gap) {
            Gap::Space if self.started => out.push(' '),
            Gap::Line if self.started => out.push('\n'),
            _ => {}
        }
        self.started = true;
        out.push(c);
    }
}
