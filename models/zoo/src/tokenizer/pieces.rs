//! Texts that are longer than a text tower reads, in pieces.

use super::ClipTokenizer;

impl ClipTokenizer {
    /// A text in pieces that a text tower reads whole; at least one.
    ///
    /// - `context`: positions of the tower, of which start and end take two
    ///
    /// A text tower reads a few dozen words and would cut a report at its end, where its impression stands. The pieces are whole
    /// sentences as long as they fit together; a longer sentence is cut at its words.
    pub fn pieces(&self, text: &str, context: usize) -> Vec<String> {
        let most = context.saturating_sub(2).max(1);
        cut(text, most, &|text| self.encode(text).len())
    }
}

/// Cuts a text into pieces of at most `most` units: whole sentences as long as they fit together, a longer one at its
/// words. A single word that is longer stays whole.
fn cut(text: &str, most: usize, length: &dyn Fn(&str) -> usize) -> Vec<String> {
    let mut pieces: Vec<(String, usize)> = Vec::new();
    let mut add = |part: &str| {
        let units = length(part);
        match pieces.last_mut() {
            Some((piece, have)) if *have + units <= most => {
                piece.push(' ');
                piece.push_str(part);
                *have += units;
            }
            _ => pieces.push((part.to_owned(), units)),
        }
    };
    for sentence in sentences(text) {
        match length(&sentence) <= most {
            true => add(&sentence),
            false => sentence.split(' ').for_each(&mut add),
        }
    }
    match pieces.is_empty() {
        true => vec![String::new()],
        false => pieces.into_iter().map(|(piece, _)| piece).collect(),
    }
}

/// Sentences with single spaces: they end with a line, or with a full stop before a blank.
fn sentences(text: &str) -> Vec<String> {
    let mut sentences = Vec::new();
    for line in text.lines() {
        let mut sentence = String::new();
        for word in line.split_whitespace() {
            if !sentence.is_empty() {
                sentence.push(' ');
            }
            sentence.push_str(word);
            if word.ends_with(['.', '!', '?', '。']) {
                sentences.push(std::mem::take(&mut sentence));
            }
        }
        if !sentence.is_empty() {
            sentences.push(sentence);
        }
    }
    sentences
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cut_at(text: &str, most: usize) -> Vec<String> {
        cut(text, most, &|text| text.split_whitespace().count())
    }

    #[test]
    fn sentences_stay_whole_while_they_fit_and_no_word_is_lost() {
        let report = "Heart size normal.  No effusion.\nIMPRESSION: right lower lobe opacity is seen again today.";
        let pieces = cut_at(report, 5);
        assert_eq!(
            pieces,
            [
                "Heart size normal. No effusion.",
                "IMPRESSION: right lower lobe opacity",
                "is seen again today."
            ]
        );
        let words = |text: &str| text.split_whitespace().count();
        assert_eq!(
            pieces.iter().map(|p| words(p)).sum::<usize>(),
            words(report)
        );
    }

    #[test]
    fn a_short_text_is_one_piece_as_it_is() {
        assert_eq!(cut_at("pleural effusion", 5), ["pleural effusion"]);
        assert_eq!(cut_at(" \n ", 5), [""]);
    }
}
