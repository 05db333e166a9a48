//! Splits cleaned text into the pieces that are merged apart from each other.

use unicode_properties::{GeneralCategoryGroup, UnicodeGeneralCategory};

/// A piece of text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Piece<'a> {
    /// Letters, one digit, a contraction's ending, or a run of other signs.
    Word(&'a str),
    /// The start token, spelt out in the text.
    Start,
    /// The end token, spelt out in the text.
    End,
}

/// How the start token is written.
pub(super) const START: &str = "<|startoftext|>";
/// How the end token is written.
pub(super) const END: &str = "<|endoftext|>";

/// Endings that are split off after an apostrophe.
const CONTRACTIONS: [&str; 7] = ["'s", "'t", "'re", "'ve", "'m", "'ll", "'d"];

/// The pieces of lower-case text, in order. White space separates and belongs to none.
pub(super) fn pieces(text: &str) -> impl Iterator<Item = Piece<'_>> {
    let mut rest = text;
    std::iter::from_fn(move || {
        rest = rest.trim_start();
        let first = rest.chars().next()?;
        for (special, piece) in [(START, Piece::Start), (END, Piece::End)] {
            if let Some(after) = rest.strip_prefix(special) {
                rest = after;
                return Some(piece);
            }
        }
        let kind = Kind::of(first);
        let length = if let Some(ending) = CONTRACTIONS.iter().find(|c| rest.starts_with(**c)) {
            ending.len()
        } else if kind == Kind::Number {
            first.len_utf8()
        } else {
            rest.find(|c| Kind::of(c) != kind).unwrap_or(rest.len())
        };
        let (word, after) = rest.split_at(length);
        rest = after;
        Some(Piece::Word(word))
    })
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Space,
    Letter,
    Number,
    Other,
}

impl Kind {
    fn of(c: char) -> Self {
        if c.is_ascii() {
            return match c {
                'a'..='z' | 'A'..='Z' => Self::Letter,
                '0'..='9' => Self::Number,
                c if c.is_whitespace() => Self::Space,
                _ => Self::Other,
            };
        }
        if c.is_whitespace() {
            return Self::Space;
        }
        match c.general_category_group() {
            GeneralCategoryGroup::Letter => Self::Letter,
            GeneralCategoryGroup::Number => Self::Number,
            _ => Self::Other,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Vec<&str> {
        pieces(text)
            .map(|p| match p {
                Piece::Word(w) => w,
                Piece::Start => START,
                Piece::End => END,
            })
            .collect()
    }

    #[test]
    fn letters_digits_and_signs_are_apart() {
        assert_eq!(
            words("t2-weighted (12)"),
            ["t", "2", "-", "weighted", "(", "1", "2", ")"]
        );
    }

    #[test]
    fn contractions_split_before_the_apostrophe_even_at_a_word_start() {
        assert_eq!(words("patient's 'sharp"), ["patient", "'s", "'s", "harp"]);
        assert_eq!(
            words("?'s"),
            ["?'", "s"],
            "a run of signs takes the apostrophe first"
        );
    }

    #[test]
    fn special_tokens_are_recognised_only_where_a_piece_begins() {
        assert_eq!(words("<|endoftext|>a"), [END, "a"]);
        assert_eq!(words("!<|endoftext|>"), ["!<|", "endoftext", "|>"]);
    }

    #[test]
    fn combining_marks_are_not_letters() {
        assert_eq!(words("a\u{0489}b"), ["a", "\u{0489}", "b"]);
    }
}
