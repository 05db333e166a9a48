//! Byte strings as a pickle writes them.

use std::borrow::Cow;

/// No way of writing a byte takes more than this many bytes (`\u0041`).
const MAX_BYTES_PER_BYTE: usize = 6;

/// A byte string in one of the forms of Python's writers. It borrows the pickle and is decoded only
/// when it is needed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Encoded<'a> {
    /// As it is.
    Plain(&'a [u8]),
    /// The inside of `repr` of a Python 2 string (protocol 0).
    Quoted(&'a [u8]),
    /// Each byte as the character of that number: Python 3's protocols 1 and 2.
    Characters(&'a str),
    /// The same in Python's `raw-unicode-escape`: Python 3's protocol 0.
    EscapedCharacters(&'a [u8]),
}

impl<'a> Encoded<'a> {
    /// The bytes, which are `expected` in number.
    ///
    /// Time and memory are linear in `expected`, however long the written form is. Errors with a
    /// reason if there are more or fewer, or if the written form has none.
    pub(crate) fn decode(self, expected: usize) -> Result<Cow<'a, [u8]>, String> {
        let written = match self {
            Self::Plain(bytes) | Self::Quoted(bytes) | Self::EscapedCharacters(bytes) => {
                bytes.len()
            }
            Self::Characters(text) => text.len(),
        };
        let wrong = || format!("its bytes are not the {expected} that its shape and type need");
        if written < expected || written > expected.saturating_mul(MAX_BYTES_PER_BYTE) {
            return Err(wrong());
        }
        let bytes = match self {
            Self::Plain(bytes) => Cow::Borrowed(bytes),
            Self::Quoted(bytes) => unescape(bytes, quoted_escape)?.into(),
            Self::Characters(text) => text
                .chars()
                .map(|c| u8::try_from(c).map_err(|_| "a character beyond Latin-1".to_string()))
                .collect::<Result<Vec<u8>, _>>()?
                .into(),
            Self::EscapedCharacters(bytes) => unescape(bytes, unicode_escape)?.into(),
        };
        match bytes.len() == expected {
            true => Ok(bytes),
            false => Err(wrong()),
        }
    }
}

/// Replaces each backslash and what follows by what `escape` makes of it: a byte, and the bytes it
/// took behind the backslash.
fn unescape(
    mut rest: &[u8],
    escape: impl Fn(&[u8]) -> Option<(u8, usize)>,
) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::with_capacity(rest.len());
    while let Some((&first, behind)) = rest.split_first() {
        rest = behind;
        if first != b'\\' {
            bytes.push(first);
            continue;
        }
        let (byte, taken) =
            escape(rest).ok_or("a backslash is followed by nothing that Python writes")?;
        bytes.push(byte);
        rest = &rest[taken..];
    }
    Ok(bytes)
}

/// What `repr` of a Python 2 string writes behind a backslash.
fn quoted_escape(rest: &[u8]) -> Option<(u8, usize)> {
    Some(match rest.first()? {
        b'x' => (hex(rest.get(1..3)?)?, 3),
        b'n' => (b'\n', 1),
        b'r' => (b'\r', 1),
        b't' => (b'\t', 1),
        &same @ (b'\\' | b'\'' | b'"') => (same, 1),
        _ => return None,
    })
}

/// `uXXXX` of a character below 256.
fn unicode_escape(rest: &[u8]) -> Option<(u8, usize)> {
    match rest.get(..5)? {
        [b'u', b'0', b'0', digits @ ..] => Some((hex(digits)?, 5)),
        _ => None,
    }
}

/// Two hexadecimal digits.
fn hex(digits: &[u8]) -> Option<u8> {
    let digit = |d: u8| char::from(d).to_digit(16);
    let &[high, low] = digits else { return None };
    u8::try_from(digit(high)? * 16 + digit(low)?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_form_gives_the_same_bytes() {
        let expected: &[u8] = b"a\\\n'\xe9\0";
        for form in [
            Encoded::Plain(expected),
            Encoded::Quoted(br"a\\\n\'\xe9\x00"),
            Encoded::Characters("a\\\n'\u{e9}\0"),
            Encoded::EscapedCharacters(b"a\\u005c\\u000a'\xe9\\u0000"),
        ] {
            assert_eq!(form.decode(6).unwrap(), expected, "{form:?}");
        }
    }

    #[test]
    fn a_wrong_number_of_bytes_or_an_unknown_escape_is_refused() {
        for form in [
            Encoded::Plain(b"abc"),
            Encoded::Quoted(br"\x61bc\n"),
            Encoded::Quoted(br"\q1"),
            Encoded::Quoted(br"a\"),
            Encoded::Quoted(br"a\x6"),
            Encoded::Quoted(br"a\xg0"),
            Encoded::Characters("ab\u{100}"),
            Encoded::EscapedCharacters(br"a\u0100"),
            Encoded::EscapedCharacters(br"a\u000"),
            Encoded::EscapedCharacters(br"a\u00+1"),
        ] {
            assert!(form.decode(2).is_err(), "{form:?}");
        }
    }

    #[test]
    fn a_form_too_long_for_its_bytes_is_refused_unread() {
        let long = vec![b'\\'; 13];
        let reason = Encoded::Quoted(&long).decode(2).unwrap_err();
        assert!(reason.contains("not the 2"), "{reason}");
    }
}
