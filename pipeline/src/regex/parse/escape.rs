//! What may follow a backslash, outside of character classes and, for single characters, inside.

use super::super::ast::{Assert, Mode, Node};
use super::super::charset::{self, CharSet};
use super::{Parser, Result};

impl Parser<'_> {
    /// The escape whose backslash stands at `start` and has been read.
    pub(super) fn escape(&mut self, start: usize) -> Result<Node> {
        if let Some(set) = self.class_escape(start)? {
            return Ok(Node::Class(set));
        }
        let assert = match self.peek() {
            Some('A') => Assert::TextStart,
            Some('z') => Assert::TextEnd,
            Some('Z') => Assert::TextEndNewline,
            Some('G') => Assert::SearchStart,
            Some('b') => Assert::Word,
            Some('B') => Assert::NotWord,
            _ => return self.other_escape(start),
        };
        self.at += 1;
        Ok(Node::Assert(assert))
    }

    fn other_escape(&mut self, start: usize) -> Result<Node> {
        let node = match self.peek() {
            Some('K') => Node::Keep,
            Some('R') => newline(),
            Some('X') => grapheme(),
            Some('k' | 'g') => return self.named_escape(start),
            Some('1'..='9') => return self.digits_escape(start),
            Some('u') if self.rest().starts_with("u{") => {
                let chars = self.braced_code_points(start)?;
                return Ok(Node::seq(chars.into_iter().map(|c| self.literal(c)).collect()));
            }
            _ => return self.char_escape(start).map(|c| self.literal(c)),
        };
        self.at += 1;
        Ok(node)
    }

    /// `\w`, `\p{...}` and their like, which mean the same in a class and outside.
    pub(super) fn class_escape(&mut self, start: usize) -> Result<Option<CharSet>> {
        let Some(letter) = self.peek() else {
            return Err(self.error_at(start, "pattern ends in the middle of an escape"));
        };
        let negated = letter.is_ascii_uppercase();
        let set = match letter {
            'w' | 'W' | 'd' | 'D' | 's' | 'S' | 'h' | 'H' => {
                self.at += 1;
                charset::shorthand(letter.to_ascii_lowercase(), self.modes.unicode)
            }
            'p' | 'P' if self.rest()[1..].starts_with('{') => return self.property(start, negated).map(Some),
            _ => return Ok(None),
        };
        Ok(Some(if negated { charset::not(set) } else { set }))
    }

    fn property(&mut self, start: usize, negated: bool) -> Result<CharSet> {
        self.at += 2;
        let caret = self.accept("^");
        let Some(length) = self.rest().find('}') else {
            return Err(self.error_at(start, "character property has no end, add `}`"));
        };
        let name = self.rest()[..length].to_owned();
        self.at += length + 1;
        let Some(set) = charset::property(&name) else {
            return Err(self.error_at(start, format!("unknown character property `{name}`")));
        };
        Ok(if negated == caret { set } else { charset::not(set) })
    }

    /// An escape that stands for one character; an unknown letter stands for itself.
    pub(super) fn char_escape(&mut self, start: usize) -> Result<char> {
        let Some(c) = self.next() else {
            return Err(self.error_at(start, "pattern ends in the middle of an escape"));
        };
        match c {
            'n' => Ok('\n'),
            't' => Ok('\t'),
            'r' => Ok('\r'),
            'f' => Ok('\x0c'),
            'v' => Ok('\x0b'),
            'a' => Ok('\x07'),
            'e' => Ok('\x1b'),
            'u' => self.four_digits(start),
            'x' | '0'..='7' => {
                self.at -= 1;
                self.raw_char(start)
            }
            'c' => self.control(start),
            'C' if self.accept("-") => self.control(start),
            'C' | 'M' => Err(self.error_at(start, format!("escape `\\{c}` is not supported, write \\u{{...}}"))),
            other => Ok(other),
        }
    }

    fn control(&mut self, start: usize) -> Result<char> {
        match self.next() {
            Some('?') => Ok('\x7f'),
            Some(c) if c.is_ascii() && c != '\\' => Ok(char::from(c as u8 & 0x1f)),
            _ => Err(self.error_at(start, "control escape needs an ASCII character, as in \\cA")),
        }
    }

    fn four_digits(&mut self, start: usize) -> Result<char> {
        let code = self.rest().get(..4).filter(|text| text.bytes().all(|b| b.is_ascii_hexdigit()));
        let Some(code) = code.and_then(|text| u32::from_str_radix(text, 16).ok()) else {
            return Err(self.error_at(start, "`\\u` needs four hex digits or \\u{...}"));
        };
        self.at += 4;
        char::from_u32(code).ok_or_else(|| self.error_at(start, format!("U+{code:04X} is not a character")))
    }

    /// `\u{1F680}`, or several code points parted by blanks.
    fn braced_code_points(&mut self, start: usize) -> Result<Vec<char>> {
        let wrong = self.error_at(start, "`\\u{...}` needs hex code points of up to six digits");
        let Some(length) = self.rest().find('}') else { return Err(wrong) };
        let inner = &self.rest()[2..length];
        let chars: Option<Vec<char>> = inner.split_ascii_whitespace().map(code_point).collect();
        self.at += length + 1;
        chars.filter(|chars| !chars.is_empty()).ok_or(wrong)
    }

    /// One `\u{...}` inside a class, where only a single code point makes sense as the end of a range.
    pub(super) fn braced_chars_in_class(&mut self, start: usize) -> Result<Vec<char>> {
        self.braced_code_points(start)
    }

    /// A character written in bytes, `\xC3\xA9`: Ruby refuses bytes that are not whole characters.
    fn raw_char(&mut self, start: usize) -> Result<char> {
        let mut bytes = vec![self.raw_byte(start)?];
        loop {
            match str::from_utf8(&bytes) {
                Ok(text) => return Ok(text.chars().next().expect("at least one byte was read")),
                Err(error) if error.error_len().is_some() || !self.raw_follows() => {
                    let shown = bytes.iter().map(|b| format!("\\x{b:02X}")).collect::<String>();
                    let message = format!("{shown} is not a whole UTF-8 character, write \\u{{...}} for a code point");
                    return Err(self.error_at(start, message));
                }
                Err(_) => {
                    self.at += 1;
                    bytes.push(self.raw_byte(start)?);
                }
            }
        }
    }

    fn raw_follows(&self) -> bool {
        let rest = self.rest().as_bytes();
        rest.first() == Some(&b'\\') && matches!(rest.get(1), Some(b'x' | b'0'..=b'7'))
    }

    fn raw_byte(&mut self, start: usize) -> Result<u8> {
        let hex = self.accept("x");
        let (most, radix) = if hex { (2, 16) } else { (3, 8) };
        let length = self.rest().chars().take(most).take_while(|c| c.is_digit(radix)).count();
        let value = u8::from_str_radix(&self.rest()[..length], radix);
        self.at += length;
        value.map_err(|_| match hex {
            true => self.error_at(start, "`\\x` needs one or two hex digits, write \\u{...} for a code point"),
            false => self.error_at(start, "octal escape is above \\377"),
        })
    }

    /// A back-reference when there is such a group or the number has one digit, else octal or a plain digit.
    fn digits_escape(&mut self, start: usize) -> Result<Node> {
        let length = self.rest().bytes().take_while(u8::is_ascii_digit).count();
        let number = self.rest()[..length].parse::<usize>().unwrap_or(usize::MAX);
        let seen = self.found.plain + self.found.named;
        if number <= 9 || number <= seen {
            self.at += length;
            let groups = self.numbered(start, number)?;
            return Ok(Node::Backref { groups, ignore_case: self.modes.ignore_case });
        }
        let c = self.char_escape(start)?;
        Ok(self.literal(c))
    }

    fn named_escape(&mut self, start: usize) -> Result<Node> {
        let letter = self.next();
        let groups = if self.accept("<") {
            self.reference_or_call(start, '>', letter)?
        } else if self.accept("'") {
            self.reference_or_call(start, '\'', letter)?
        } else {
            return Ok(self.literal(letter.unwrap_or('k')));
        };
        if letter == Some('k') {
            return Ok(Node::Backref { groups, ignore_case: self.modes.ignore_case });
        }
        match groups[..] {
            [group] => Ok(Node::Call(group)),
            _ if !self.known.complete => Ok(Node::Empty),
            _ => Err(self.error_at(start, "call of a name that several groups have")),
        }
    }

    fn reference_or_call(&mut self, start: usize, end: char, letter: Option<char>) -> Result<Vec<usize>> {
        let whole = format!("0{end}");
        if letter == Some('g') && self.accept(&whole) {
            self.found.refers = true;
            return Ok(vec![0]);
        }
        self.reference(start, end)
    }

    /// A group by name, number or distance, up to `end`.
    pub(super) fn reference(&mut self, start: usize, end: char) -> Result<Vec<usize>> {
        let name = self.group_name(start, end)?;
        if let Ok(number) = name.parse::<isize>() {
            return self.relative(start, &name, number);
        }
        if !self.known.complete {
            self.found.refers = true;
            return Ok(vec![0]);
        }
        let found = self.known.names.iter().find(|(known, _)| *known == name);
        let level = name.rsplit_once(['+', '-']).filter(|(_, level)| level.parse::<u32>().is_ok());
        let message = match level.filter(|(group, _)| self.known.names.iter().any(|(known, _)| known == group)) {
            Some(_) => format!("references to a recursion level, as `{name}`, are not supported"),
            None => format!("reference to group `{name}`, which does not exist"),
        };
        found.map(|(_, groups)| groups.clone()).ok_or_else(|| self.error_at(start, message))
    }

    fn relative(&mut self, start: usize, name: &str, number: isize) -> Result<Vec<usize>> {
        let seen = if self.known.names.is_empty() { self.found.plain } else { self.found.named };
        let absolute = match name.as_bytes()[0] {
            b'-' => (seen + 1).checked_add_signed(number),
            b'+' => seen.checked_add_signed(number),
            _ => usize::try_from(number).ok(),
        };
        let absolute = absolute.filter(|number| *number > 0);
        let missing = self.error_at(start, format!("reference to group {name}, which does not exist"));
        self.numbered(start, absolute.ok_or(missing)?)
    }

    pub(super) fn numbered(&mut self, start: usize, number: usize) -> Result<Vec<usize>> {
        self.found.refers = true;
        if self.known.complete && !self.known.names.is_empty() {
            return Err(self.error_at(start, "numbered reference beside named groups, use \\k<name>"));
        }
        if self.known.complete && number > self.known.groups {
            return Err(self.error_at(start, format!("reference to group {number}, which does not exist")));
        }
        Ok(vec![number])
    }
}

fn code_point(digits: &str) -> Option<char> {
    let plain = digits.len() <= 6 && digits.bytes().all(|b| b.is_ascii_hexdigit());
    char::from_u32(u32::from_str_radix(digits, 16).ok().filter(|_| plain)?)
}

/// `\R`: any line break, `\r\n` taken as one.
fn newline() -> Node {
    let single = charset::of_ranges(&[('\n', '\r'), ('\u{85}', '\u{85}'), ('\u{2028}', '\u{2029}')]);
    Node::Atomic(Box::new(Node::Alt(vec![Node::Literal("\r\n".into()), Node::Class(single)])))
}

/// `\X`: an extended grapheme cluster, by the rules of UAX 29 that need no look back.
fn grapheme() -> Node {
    let class = |name| Node::Class(charset::grapheme_break(name));
    let star = |node| Node::repeat(node, 0, None, Mode::Possessive);
    let plus = |node| Node::repeat(node, 1, None, Mode::Possessive);
    let control = charset::or(
        charset::or(charset::grapheme_break("Control"), &charset::grapheme_break("CR")),
        &charset::grapheme_break("LF"),
    );
    let pictures = charset::property("Extended_Pictographic").unwrap_or_else(charset::all);
    let picture = Node::Class(pictures);
    let joined = Node::Seq(vec![star(class("Extend")), class("ZWJ"), picture.clone()]);
    let emoji = Node::Seq(vec![picture, star(joined)]);
    let flag = Node::Seq(vec![class("RI"), class("RI")]);
    let vowels = Node::Alt(vec![
        Node::Seq(vec![plus(class("V")), star(class("T"))]),
        Node::Seq(vec![class("LV"), star(class("V")), star(class("T"))]),
        Node::Seq(vec![class("LVT"), star(class("T"))]),
    ]);
    let hangul = Node::Alt(vec![Node::Seq(vec![star(class("L")), vowels]), plus(class("L")), plus(class("T"))]);
    let core = Node::Alt(vec![flag, hangul, emoji, Node::Class(charset::not(control.clone()))]);
    let tail = charset::or(
        charset::or(charset::grapheme_break("Extend"), &charset::grapheme_break("ZWJ")),
        &charset::grapheme_break("SpacingMark"),
    );
    let prepend = Node::repeat(class("Prepend"), 0, None, Mode::Greedy);
    let cluster = Node::Seq(vec![prepend, core, star(Node::Class(tail))]);
    let any = Node::Class(charset::all());
    Node::Atomic(Box::new(Node::Alt(vec![Node::Literal("\r\n".into()), Node::Class(control), cluster, any])))
}
