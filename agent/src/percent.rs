//! Texts in URLs.

/// `%40` is `@`. A `%` that begins no number stands for itself.
pub(crate) fn percent_decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, tail)) = rest.split_first() {
        let code = tail
            .get(..2)
            .and_then(|digits| std::str::from_utf8(digits).ok())
            .and_then(|digits| u8::from_str_radix(digits, 16).ok());
        match (first, code) {
            (b'%', Some(code)) => {
                bytes.push(code);
                rest = &tail[2..];
            }
            _ => {
                bytes.push(*first);
                rest = tail;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_number_stands_for_itself() {
        for (text, decoded) in [("us%40er", "us@er"), ("100%", "100%"), ("%zz%2C", "%zz,"), ("%c3%a4", "ä")] {
            assert_eq!(percent_decoded(text), decoded);
        }
    }
}
