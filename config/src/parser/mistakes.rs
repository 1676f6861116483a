//! Reporting: what was found, what was wanted, and no echo of a mistake that is known already.

use super::{ERROR_LIMIT, Open, Parser};
use crate::ast::Span;
use crate::diagnostic::Diagnostic;
use crate::token::{Token, TokenKind};

impl Parser<'_> {
    /// Keeps a mistake, unless it is the echo of an earlier one.
    pub(super) fn report(&mut self, mistake: Diagnostic) {
        if mistake.span.start < self.quiet_until {
            return;
        }
        if self.is_lost_quote(&mistake) {
            self.reread_string(&mistake);
            return;
        }
        self.quiet_until = mistake.span.end.max(mistake.span.start.saturating_add(1));
        self.diagnostics.push(mistake);
        if self.diagnostics.iter().filter(|diagnostic| diagnostic.is_error()).count() >= ERROR_LIMIT {
            self.give_up();
        }
    }

    /// Keeps something that is wrong with what was understood: it never hides or is hidden.
    pub(super) fn remark(&mut self, remark: Diagnostic) {
        if self.quiet_until < u32::MAX {
            self.diagnostics.push(remark);
        }
    }

    /// Reports that something else was wanted than what stands here.
    pub(super) fn unexpected(&mut self, wanted: &str) {
        let token = self.lexer.token();
        if token.kind == TokenKind::End {
            self.unclosed(wanted);
            return;
        }
        let found = self.describe(token);
        let mistake = Diagnostic::error("unexpected", token.span, format!("expected {wanted}, found {found}"));
        let mistake = match self.advice(token) {
            Some(help) => mistake.with_help(help),
            None => mistake,
        };
        self.report(mistake);
    }

    /// True when something that does not fit sticks to the end of a string: a quote is missing before, or is one too
    /// many, and from there on texts and the gaps between them have changed places.
    fn is_lost_quote(&self, mistake: &Diagnostic) -> bool {
        let string = self.last_string;
        if string.end != mistake.span.start || string.end == 0 || string.start < self.reread_until {
            return false;
        }
        let next = self.lexer.slice(Span::new(string.end, self.end())).chars().next();
        let closes = |next| matches!(next, '"' | '\'' | ',' | ';' | '=' | ':' | '#' | '}' | ']' | ')');
        let sticks = next.is_some_and(|next| !next.is_whitespace() && !closes(next));
        sticks || self.lexer.slice(string).contains('\n')
    }

    /// Reports the string instead of what followed it, and goes on behind the place where it probably should have ended.
    fn reread_string(&mut self, mistake: &Diagnostic) {
        let string = self.last_string;
        let end = self.probable_end(string.start);
        self.reread_until = string.end;
        let quote = self.lexer.slice(Span::new(string.start, string.start + 1)).to_owned();
        let message = format!("the {quote} of this string don't match up");
        let found = Diagnostic::error("open-string", Span::new(string.start, end), message);
        let found = found.with_label(mistake.span, "it ends right before this");
        self.report(found.with_help(format!("is a {quote} missing, or is there one too many in it?")));
        self.go_behind_line(end);
    }

    /// Goes to `end`, and keeps quiet about the rest of the line.
    pub(super) fn go_behind_line(&mut self, end: u32) {
        if self.quiet_until == u32::MAX {
            return;
        }
        self.lexer.jump(end);
        let rest = self.lexer.rest();
        let line = rest.find('\n').unwrap_or(rest.len());
        self.quiet_until = end.saturating_add(u32::try_from(line).unwrap_or(u32::MAX));
    }

    /// Where the string that starts at `start` should have ended: before the brackets and commas at the end of the line.
    pub(super) fn probable_end(&self, start: u32) -> u32 {
        let inner = self.lexer.slice(Span::new(start + 1, self.end()));
        let line = inner.split(['\r', '\n']).next().unwrap_or_default();
        let mut depth = 0_usize;
        let mut before = ' ';
        let mut length = 0;
        for (at, letter) in line.char_indices() {
            let outside = depth == 0;
            match letter {
                '{' if depth > 0 || matches!(before, '%' | '$') => depth += 1,
                '}' if depth > 0 => depth -= 1,
                _ => {}
            }
            if !(outside && depth == 0 && matches!(letter, ' ' | '\t' | '}' | ']' | ')' | ',' | '{')) {
                length = at + letter.len_utf8();
            }
            before = letter;
        }
        start + 1 + u32::try_from(length).unwrap_or(0)
    }

    /// Goes past what stands here; of a string that runs over lines, past its first line only.
    pub(super) fn pass(&mut self) {
        let start = self.lexer.at();
        let kind = self.lexer.skip();
        let long = kind == TokenKind::String && self.lexer.slice(self.lexer.since(start)).contains('\n');
        if long || kind == TokenKind::OpenString {
            self.lexer.jump(self.probable_end(start));
        }
        if kind == TokenKind::Other('%') && self.lexer.rest().starts_with('{') {
            let rest = self.lexer.rest();
            let length = rest.find(['}', '\n']).map_or(1, |at| at + 1);
            self.lexer.jump(self.lexer.at() + u32::try_from(length).unwrap_or(1));
        }
    }

    /// Reports that the source ends inside of a block, naming the block.
    fn unclosed(&mut self, wanted: &str) {
        let at = self.lexer.at();
        let here = Span::new(at, at);
        let Some(open) = self.open.last().copied() else {
            self.report(Diagnostic::error(
                "unexpected-end",
                here,
                format!("expected {wanted}, found the end of the file"),
            ));
            return;
        };
        let name = match self.lexer.slice(open.name) {
            "{" => "a hash".to_owned(),
            name => format!("`{name}`"),
        };
        let mistake = Diagnostic::error("unclosed-block", here, format!("the file ends before the `}}` of {name}"));
        let mistake = match self.suspect {
            Some((opener, closer)) => mistake
                .with_label(opener, "this block is probably the one that lost its `}`")
                .with_label(closer, "for it was closed here, by a brace that is indented for another block"),
            None => mistake.with_label(brace(open), "this brace is never closed"),
        };
        let help = match self.open.len() {
            1 => "add a `}`".to_owned(),
            many => format!("{many} `}}` are missing in all"),
        };
        self.report(mistake.with_help(help));
    }

    /// The name of what stands here, for a message.
    pub(super) fn describe(&self, token: Token) -> String {
        match token.kind {
            TokenKind::End => "the end of the file".to_owned(),
            TokenKind::Other(other) if other.is_control() || other == '\u{feff}' || other == '\u{a0}' => {
                format!("the character U+{:04X}", u32::from(other))
            }
            TokenKind::String | TokenKind::OpenString => "a string".to_owned(),
            _ => format!("`{}`", shorten(self.lexer.slice(token.span))),
        }
    }

    /// What to do about something that stands where it can't, when that is sure.
    fn advice(&self, token: Token) -> Option<String> {
        let sticks = self.bare.end == token.span.start && self.bare.start < self.bare.end;
        match token.kind {
            TokenKind::Other('\u{feff}') => {
                Some("this is a byte order mark: save the file as UTF-8 without one".to_owned())
            }
            TokenKind::Other('\u{a0}') => Some("this is a no-break space: replace it by a plain one".to_owned()),
            TokenKind::Other('“' | '”' | '„' | '‘' | '’' | '«' | '»') => {
                Some("use the straight quotes \" or '".to_owned())
            }
            TokenKind::Other(';') => Some("settings and plugins need nothing between them but white space".to_owned()),
            TokenKind::Other('#') => Some("this comment is broken by a carriage return without a line feed".to_owned()),
            TokenKind::Other('/') if self.lexer.rest().starts_with("//") || self.lexer.rest().starts_with("/*") => {
                Some("comments start with #".to_owned())
            }
            TokenKind::Word | TokenKind::Other('.' | ':' | '/' | '@' | '%' | '+' | '*' | '$') if sticks => {
                let word = self.sticking();
                Some(format!("put quotes around it: \"{word}\""))
            }
            _ => None,
        }
    }

    /// The bareword or number before this place and all that sticks to it, references as `%{NAME}` whole.
    fn sticking(&self) -> &str {
        let rest = self.lexer.slice(Span::new(self.bare.start, self.end()));
        let ends = |next: char| next.is_whitespace() || matches!(next, ',' | ']' | '}' | '"' | '\'' | '#' | '{' | ')');
        let (mut inside, mut before) = (false, ' ');
        let end = rest.find(|next: char| {
            let ended = if inside { next == '\n' } else { ends(next) && !(next == '{' && matches!(before, '%' | '$')) };
            inside = (inside && next != '}') || (next == '{' && !ended);
            before = next;
            ended
        });
        &rest[..end.unwrap_or(rest.len())]
    }

    fn end(&self) -> u32 {
        u32::try_from(self.source.text().len()).unwrap_or(u32::MAX)
    }

    /// Keeps the first block whose braces are indented differently.
    pub(super) fn watch_indentation(&mut self, open: Open, close: u32) {
        if self.suspect.is_some() {
            return;
        }
        let indented = self.source.indentation(open.brace);
        if self.source.is_first_on_line(close) && self.source.indentation(close) != indented {
            self.suspect = Some((brace(open), Span::new(close, close + 1)));
        }
    }
}

fn brace(open: Open) -> Span {
    Span::new(open.brace, open.brace + 1)
}

fn shorten(text: &str) -> String {
    let mut short: String = text.chars().take(40).collect();
    if short.len() < text.len() {
        short.push('…');
    }
    short
}
