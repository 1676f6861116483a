//! What may follow an opening parenthesis.

use super::super::ast::{Look, Node};
use super::absent::absent;
use super::{Parser, Result};

impl Parser<'_> {
    /// The group whose `(` stands at `start` and has been read.
    pub(super) fn group(&mut self, start: usize) -> Result<Node> {
        if !self.accept("?") {
            return self.plain_group(start);
        }
        if self.accept(":") {
            return self.close(start);
        }
        if self.accept(">") {
            return Ok(Node::Atomic(Box::new(self.close(start)?)));
        }
        if self.accept("~") {
            let body = self.close(start)?;
            let message = "the absent operator `(?~X)` takes texts of fixed lengths only; write `(?:(?!X).)*`, which ends where X begins";
            return absent(body).ok_or_else(|| self.error_at(start, message));
        }
        if self.accept("(") {
            return self.condition(start);
        }
        for (text, look) in [("=", Look::Ahead), ("!", Look::NotAhead), ("<=", Look::Behind), ("<!", Look::NotBehind)] {
            if self.accept(text) {
                return self.look(start, look);
            }
        }
        if self.accept("<") {
            return self.named_group(start, '>');
        }
        if self.accept("'") {
            return self.named_group(start, '\'');
        }
        self.options(start)
    }

    /// The rest of a group, up to and with its `)`; flags set inside end with it.
    fn close(&mut self, start: usize) -> Result<Node> {
        let modes = self.modes;
        let node = self.alternation()?;
        self.modes = modes;
        if !self.accept(")") {
            return Err(self.error_at(start, "group has no end, add `)`"));
        }
        Ok(node)
    }

    fn plain_group(&mut self, start: usize) -> Result<Node> {
        if !self.known.names.is_empty() {
            return self.close(start);
        }
        self.found.plain += 1;
        let group = self.found.plain;
        Ok(Node::Capture { group, body: Box::new(self.close(start)?) })
    }

    fn named_group(&mut self, start: usize, end: char) -> Result<Node> {
        let name = self.group_name(start, end)?;
        if name.starts_with(|c: char| c.is_ascii_digit() || c == '-') {
            return Err(self.error_at(start, format!("group name `{name}` starts with a digit or `-`")));
        }
        self.found.named += 1;
        let group = self.found.named;
        match self.found.names.iter_mut().find(|(known, _)| *known == name) {
            Some((_, groups)) => groups.push(group),
            None => self.found.names.push((name, vec![group])),
        }
        Ok(Node::Capture { group, body: Box::new(self.close(start)?) })
    }

    /// A name up to `end`. Onigmo takes nearly anything for one, and grok relies on that (`(?<name:type>...)`).
    pub(super) fn group_name(&mut self, start: usize, end: char) -> Result<String> {
        let Some(length) = self.rest().find([end, ')']).filter(|at| self.rest()[*at..].starts_with(end)) else {
            return Err(self.error_at(start, format!("group name has no end, add `{end}`")));
        };
        let name = self.rest()[..length].to_owned();
        self.at += length + end.len_utf8();
        if name.is_empty() {
            return Err(self.error_at(start, "group name is empty"));
        }
        Ok(name)
    }

    fn look(&mut self, start: usize, look: Look) -> Result<Node> {
        let outer = self.in_behind;
        let behind = matches!(look, Look::Behind | Look::NotBehind);
        self.in_behind |= behind;
        let body = self.close(start)?;
        self.in_behind = outer;
        if behind {
            self.check_behind(start, look, &body)?;
        }
        Ok(Node::Look { look, body: Box::new(body) })
    }

    fn condition(&mut self, start: usize) -> Result<Node> {
        let groups = self.condition_groups(start)?;
        if !self.accept(")") {
            return Err(self.error_at(start, "invalid condition, write (?(1)...) or (?(<name>)...)"));
        }
        let (yes, no) = match self.close(start)? {
            Node::Alt(mut branches) if branches.len() == 2 => {
                let no = branches.pop().unwrap_or(Node::Empty);
                (branches.pop().unwrap_or(Node::Empty), no)
            }
            Node::Alt(_) => return Err(self.error_at(start, "a condition has two branches at most")),
            yes => (yes, Node::Empty),
        };
        Ok(Node::Condition { groups, yes: Box::new(yes), no: Box::new(no) })
    }

    fn condition_groups(&mut self, start: usize) -> Result<Vec<usize>> {
        if self.accept("<") {
            return self.reference(start, '>');
        }
        if self.accept("'") {
            return self.reference(start, '\'');
        }
        let digits = self.rest().bytes().take_while(u8::is_ascii_digit).count();
        let number = self.rest()[..digits].parse().ok();
        self.at += digits;
        let number = number.ok_or_else(|| self.error_at(start, "invalid condition, write (?(1)...)"))?;
        self.numbered(start, number)
    }

    /// `(?imx-imx)` and `(?imx-imx:...)`.
    fn options(&mut self, start: usize) -> Result<Node> {
        let outer = self.modes;
        let mut on = true;
        loop {
            match self.next() {
                Some('-') => on = false,
                Some(':') => {
                    let node = self.close(start);
                    self.modes = outer;
                    return node;
                }
                Some(')') => return self.rest_of_group(outer),
                Some(letter) => self.option(start, letter, on)?,
                None => return Err(self.error_at(start, "group has no end, add `)`")),
            }
        }
    }

    /// Behind `(?i)`, all that is left of the enclosing group, alternatives included, is under the new flags.
    fn rest_of_group(&mut self, outer: super::Modes) -> Result<Node> {
        let node = self.alternation();
        self.modes = outer;
        node
    }

    fn option(&mut self, start: usize, letter: char, on: bool) -> Result<()> {
        match letter {
            'i' => self.modes.ignore_case = on,
            'm' => self.modes.dot_all = on,
            'x' => self.modes.extended = on,
            'a' if on => (self.modes.ascii, self.modes.unicode) = (true, false),
            'u' if on => (self.modes.ascii, self.modes.unicode) = (false, true),
            'd' if on => (self.modes.ascii, self.modes.unicode) = (false, false),
            _ => return Err(self.error_at(start, format!("unknown group option `{letter}`"))),
        }
        Ok(())
    }
}
