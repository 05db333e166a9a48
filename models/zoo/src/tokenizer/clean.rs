//! Cleans text as CLIP's tokenizer does before it splits words.
//!
//! Source: openai/CLIP, `simple_tokenizer.py` (`basic_clean`, `whitespace_clean`), and the steps of ftfy 6 that change text
//! which was decoded rightly. Repair of text that was decoded with the wrong code page is left out: this application reads
//! UTF-8.

use super::entities::{unescape, unescape_closed, windows_1252};
use std::borrow::Cow;
use unicode_normalization::{UnicodeNormalization, is_nfc};

/// Text with plain quotes, resolved HTML references, single spaces, in lower case.
pub(super) fn clean(text: &str) -> String {
    let text = unescape(&unescape(&fix(text)));
    let mut out = String::with_capacity(text.len());
    for word in text.split_whitespace() {
        if !out.is_empty() {
            out.push(' ');
        }
        out.push_str(word);
    }
    out.to_lowercase()
}

/// What ftfy makes of text that was decoded rightly.
fn fix(text: &str) -> Cow<'_, str> {
    if text
        .bytes()
        .all(|b| matches!(b, b' '..=b'~' | b'\n') && b != b'&')
    {
        return text.into();
    }
    // References are resolved until none is left, unless the text looks like HTML.
    let markup = text.contains('<');
    let mut text = Cow::from(text);
    while !markup && text.contains('&') {
        let resolved = unescape_closed(&text);
        if resolved == text {
            break;
        }
        text = resolved.into();
    }
    let text = remove_terminal_escapes(&text);
    let mut out = String::with_capacity(text.len());
    text.chars().for_each(|c| push_fixed(c, &mut out));
    if is_nfc(&out) {
        out.into()
    } else {
        out.nfc().collect::<String>().into()
    }
}

fn push_fixed(c: char, out: &mut String) {
    match c {
        '\u{80}'..='\u{9f}' => out.push(windows_1252(c as u8).map_or(c, straight)),
        '\u{0}'..='\u{8}' | '\u{b}' | '\u{e}'..='\u{1f}' | '\u{7f}' => {}
        // Deprecated formatting characters, byte order mark, interlinear annotation.
        '\u{206a}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffc}' => {}
        // Full-width and half-width forms, and the ideographic space.
        '\u{3000}' => out.push(' '),
        '\u{ff01}'..='\u{ffef}' => out.extend([c].into_iter().nfkc()),
        c => match ligature(c) {
            Some(letters) => out.push_str(letters),
            None => out.push(straight(c)),
        },
    }
}

/// Curly quotes become straight ones.
fn straight(c: char) -> char {
    match c {
        '\u{2bc}' | '\u{2018}'..='\u{201b}' => '\'',
        '\u{201c}'..='\u{201f}' => '"',
        c => c,
    }
}

/// The letters of a ligature of Latin script that exists for old code pages alone.
fn ligature(c: char) -> Option<&'static str> {
    Some(match c {
        '\u{132}' => "IJ",
        '\u{133}' => "ij",
        '\u{149}' => "'n",
        '\u{1c4}' => "D\u{17d}",
        '\u{1c5}' => "D\u{17e}",
        '\u{1c6}' => "d\u{17e}",
        '\u{1c7}' => "LJ",
        '\u{1c8}' => "Lj",
        '\u{1c9}' => "lj",
        '\u{1ca}' => "NJ",
        '\u{1cb}' => "Nj",
        '\u{1cc}' => "nj",
        '\u{1f1}' => "DZ",
        '\u{1f2}' => "Dz",
        '\u{1f3}' => "dz",
        '\u{fb00}' => "ff",
        '\u{fb01}' => "fi",
        '\u{fb02}' => "fl",
        '\u{fb03}' => "ffi",
        '\u{fb04}' => "ffl",
        '\u{fb05}' => "\u{17f}t",
        '\u{fb06}' => "st",
        _ => return None,
    })
}

/// Removes colour codes of terminals: escape, `[`, numbers and semicolons, one letter.
fn remove_terminal_escapes(text: &str) -> Cow<'_, str> {
    if !text.contains("\u{1b}[") {
        return text.into();
    }
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("\u{1b}[") {
        out.push_str(&rest[..at]);
        let code = rest[at + 2..].trim_start_matches(|c: char| c.is_ascii_digit() || c == ';');
        match code.strip_prefix(|c: char| c.is_ascii_alphabetic()) {
            Some(after) => rest = after,
            None => {
                out.push_str(&rest[at..at + 2]);
                rest = &rest[at + 2..];
            }
        }
    }
    out.push_str(rest);
    out.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_widths_and_ligatures_become_plain_letters() {
        assert_eq!(
            clean("\u{201c}Lung\u{201d} \u{2018}x\u{2019}"),
            "\"lung\" 'x'"
        );
        assert_eq!(clean("\u{ff23}\u{ff34}\u{3000}\u{ff11}"), "ct 1");
        assert_eq!(clean("in\u{fb01}ltrate"), "infiltrate");
    }

    #[test]
    fn accents_written_apart_are_joined() {
        assert_eq!(clean("o\u{308}dem"), "\u{f6}dem");
    }

    #[test]
    fn white_space_of_every_kind_becomes_one_space() {
        assert_eq!(clean(" a\t\r\n b\u{a0}\u{2003}c\u{2028}d \u{c}"), "a b c d");
    }

    #[test]
    fn references_in_text_without_markup_are_resolved_to_the_end() {
        assert_eq!(clean("&amp;amp;amp;amp;lt;"), "<");
        assert_eq!(
            clean("<b>&amp;amp;amp;amp;lt;"),
            "<b>&amp;amp;lt;",
            "with markup only two levels are"
        );
    }

    #[test]
    fn control_characters_and_terminal_colours_vanish() {
        assert_eq!(clean("a\u{0}b\u{feff}c\u{1b}[1;31md\u{1b}[x"), "abcd");
    }
}
