//! The subject of a certificate as text, `CN=web,O=Shop`: the names in the order and spelling of RFC 2253, which is what Java prints.

use std::fmt::Write;

/// Names of the attributes that Java abbreviates, by their object identifiers in DER.
const NAMES: [(&[u8], &str); 9] = [
    (&[0x55, 4, 3], "CN"),
    (&[0x55, 4, 6], "C"),
    (&[0x55, 4, 7], "L"),
    (&[0x55, 4, 8], "ST"),
    (&[0x55, 4, 9], "STREET"),
    (&[0x55, 4, 10], "O"),
    (&[0x55, 4, 11], "OU"),
    (&[0x09, 0x92, 0x26, 0x89, 0x93, 0xf2, 0x2c, 0x64, 1, 25], "DC"),
    (&[0x09, 0x92, 0x26, 0x89, 0x93, 0xf2, 0x2c, 0x64, 1, 1], "UID"),
];

const SEQUENCE: u8 = 0x30;
const SET: u8 = 0x31;
const OBJECT_IDENTIFIER: u8 = 0x06;
const VERSION: u8 = 0xa0;

/// The subject of a certificate in DER; nothing when it has no readable one.
pub(super) fn subject(certificate: &[u8]) -> Option<String> {
    let mut certificate = Der(certificate).take(SEQUENCE)?.take(SEQUENCE)?;
    if certificate.0.first() == Some(&VERSION) {
        certificate.next()?;
    }
    // Serial number, algorithm, issuer and validity stand before the subject.
    for _ in 0..4 {
        certificate.next()?;
    }
    let mut names = certificate.take(SEQUENCE)?;
    let mut parts = Vec::new();
    while !names.0.is_empty() {
        parts.push(relative_name(names.take(SET)?)?);
    }
    // The last name in the certificate comes first.
    parts.reverse();
    Some(parts.join(","))
}

/// A name's attributes, several joined by `+`.
fn relative_name(mut set: Der<'_>) -> Option<String> {
    let mut attributes = Vec::new();
    while !set.0.is_empty() {
        let mut attribute = set.take(SEQUENCE)?;
        let kind = attribute.take(OBJECT_IDENTIFIER)?.0;
        let (_, value) = attribute.next()?;
        attributes.push(format!("{}={}", name(kind), escaped(&String::from_utf8_lossy(value))));
    }
    Some(attributes.join("+"))
}

fn name(kind: &[u8]) -> String {
    let known = NAMES.iter().find(|(identifier, _)| *identifier == kind);
    known.map_or_else(|| dotted(kind), |(_, name)| (*name).to_owned())
}

/// An object identifier as numbers with dots.
fn dotted(kind: &[u8]) -> String {
    let Some((first, rest)) = kind.split_first() else { return String::new() };
    let mut text = format!("{}.{}", (first / 40).min(2), first - (first / 40).min(2) * 40);
    let mut number = 0_u64;
    for byte in rest {
        number = number << 7 | u64::from(byte & 0x7f);
        if byte & 0x80 == 0 {
            let _infallible = write!(text, ".{number}");
            number = 0;
        }
    }
    text
}

fn escaped(value: &str) -> String {
    let mut text = String::with_capacity(value.len());
    for (at, c) in value.char_indices() {
        let edge = at == 0 && matches!(c, ' ' | '#') || c == ' ' && at + 1 == value.len();
        if edge || matches!(c, ',' | '+' | '"' | '\\' | '<' | '>' | ';') {
            text.push('\\');
        }
        text.push(c);
    }
    text
}

/// What is left of a run of DER values.
#[derive(Clone, Copy)]
struct Der<'a>(&'a [u8]);

impl<'a> Der<'a> {
    /// The next value: its tag and its content.
    fn next(&mut self) -> Option<(u8, &'a [u8])> {
        let (&tag, rest) = self.0.split_first()?;
        let (&short, rest) = rest.split_first()?;
        let (length, rest) = if short < 0x80 {
            (usize::from(short), rest)
        } else {
            let (long, rest) = rest.split_at_checked(usize::from(short & 0x7f))?;
            (long.iter().try_fold(0_usize, |length, byte| Some(length.checked_mul(256)? + usize::from(*byte)))?, rest)
        };
        let (content, rest) = rest.split_at_checked(length)?;
        self.0 = rest;
        Some((tag, content))
    }

    /// The content of the next value, which must have this tag.
    fn take(&mut self, wanted: u8) -> Option<Der<'a>> {
        let (tag, content) = self.next()?;
        (tag == wanted).then_some(Der(content))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(tag: u8, content: &[u8]) -> Vec<u8> {
        let mut out = vec![tag];
        if content.len() < 0x80 {
            out.push(content.len() as u8);
        } else {
            out.extend([0x82, (content.len() >> 8) as u8, content.len() as u8]);
        }
        out.extend_from_slice(content);
        out
    }

    fn attribute(kind: &[u8], text: &str) -> Vec<u8> {
        value(SET, &value(SEQUENCE, &[value(OBJECT_IDENTIFIER, kind), value(0x0c, text.as_bytes())].concat()))
    }

    fn certificate(names: &[Vec<u8>]) -> Vec<u8> {
        let before = [value(VERSION, &[2, 1, 2]), value(2, &[7]), value(SEQUENCE, &[]), value(SEQUENCE, &[])].concat();
        let content = [before, value(SEQUENCE, &[1; 200]), value(SEQUENCE, &names.concat())].concat();
        value(SEQUENCE, &value(SEQUENCE, &content))
    }

    #[test]
    fn names_are_printed_last_first() {
        let der = certificate(&[
            attribute(&[0x55, 4, 6], "DE"),
            attribute(&[0x55, 4, 10], "Shop, Inc"),
            attribute(&[0x55, 4, 3], "web"),
            attribute(&[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 9, 1], "a@b"),
        ]);
        assert_eq!(subject(&der).as_deref(), Some("1.2.840.113549.1.9.1=a@b,CN=web,O=Shop\\, Inc,C=DE"));
    }

    #[test]
    fn a_broken_certificate_has_none() {
        let der = certificate(&[attribute(&[0x55, 4, 3], "web")]);
        for length in 0..der.len() {
            assert_eq!(subject(&der[..length]), None, "{length}");
        }
        assert_eq!(subject(&[0x30, 0x88, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]), None);
    }
}
