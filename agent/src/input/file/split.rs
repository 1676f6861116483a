//! Cuts what is read from a file into lines: blocks in, whole lines out, the beginning of a line kept until its end is there.

use memchr::memmem::Finder;

/// Cuts at a delimiter.
#[derive(Debug)]
pub(super) struct Splitter {
    delimiter: Finder<'static>,
    /// The beginning of a line whose end was not there yet.
    carry: Vec<u8>,
    /// A longer line is cut here, so that a file without ends of lines can't use up the memory.
    limit: usize,
}

impl Splitter {
    /// Cuts at `delimiter`, and lines that are longer than `limit` bytes at that length.
    pub(super) fn new(delimiter: &[u8], limit: usize) -> Self {
        Self { delimiter: Finder::new(delimiter).into_owned(), carry: Vec::new(), limit }
    }

    /// Gives every line that ends in `bytes`, without its delimiter, to `line`, and before it where the line ends with its delimiter, counted
    /// from what was held.
    pub(super) fn push(&mut self, bytes: &[u8], mut line: impl FnMut(usize, &[u8])) {
        let width = self.delimiter.needle().len();
        // The delimiter may begin in what is there already.
        let mut from = self.carry.len().saturating_sub(width - 1);
        self.carry.extend_from_slice(bytes);
        let mut start = 0;
        while let Some(found) = self.delimiter.find(&self.carry[from..]) {
            let end = from + found;
            while end - start > self.limit {
                line(start + self.limit, &self.carry[start..start + self.limit]);
                start += self.limit;
            }
            line(end + width, &self.carry[start..end]);
            start = end + width;
            from = start;
        }
        while self.carry.len() - start > self.limit {
            line(start + self.limit, &self.carry[start..start + self.limit]);
            start += self.limit;
        }
        self.carry.drain(..start);
    }

    /// The line that the end of the file ends.
    pub(super) fn finish(&mut self, line: impl FnOnce(&[u8])) {
        if !self.carry.is_empty() {
            line(&self.carry);
        }
        self.forget();
    }

    /// Bytes that are held back.
    pub(super) fn held(&self) -> usize {
        self.carry.len()
    }

    /// Drops the beginning of a line whose end will never come.
    pub(super) fn forget(&mut self) {
        self.carry = Vec::new();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(delimiter: &str, limit: usize, blocks: &[&str]) -> (Vec<String>, usize) {
        let mut splitter = Splitter::new(delimiter.as_bytes(), limit);
        let mut found = Vec::new();
        for block in blocks {
            let held = splitter.held();
            let mut last = 0;
            splitter.push(block.as_bytes(), |end, line| {
                assert!(end > last && end <= held + block.len());
                last = end;
                found.push(String::from_utf8_lossy(line).into_owned());
            });
            assert_eq!(last + splitter.held(), held + block.len());
        }
        (found, splitter.held())
    }

    #[test]
    fn blocks_may_end_anywhere() {
        let text = "one\r\ntwo\r\n\r\nthree";
        for at in 0..text.len() {
            let (head, tail) = text.split_at(at);
            assert_eq!(lines("\r\n", 99, &[head, tail]), (vec!["one".into(), "two".into(), String::new()], 5), "{at}");
        }
        assert_eq!(lines("\n", 99, &["a\nb"]), (vec!["a".into()], 1));
    }

    #[test]
    fn a_line_without_an_end_is_cut() {
        assert_eq!(lines("\n", 4, &["abcdefghij", "k"]), (vec!["abcd".into(), "efgh".into()], 3));
        assert_eq!(lines("\n", 4, &["abcdefg\nh\n"]), (vec!["abcd".into(), "efg".into(), "h".into()], 0));
    }

    #[test]
    fn the_end_of_the_file_ends_a_line() {
        let mut splitter = Splitter::new(b"\n", 9);
        splitter.push(b"a\nrest", |_, _| {});
        let mut last = Vec::new();
        splitter.finish(|line| last = line.to_vec());
        assert_eq!((last.as_slice(), splitter.held()), (&b"rest"[..], 0));
    }
}
