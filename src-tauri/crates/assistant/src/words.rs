//! Plain matching of words and phrases: what the rules about questions are written in.

/// A text as lower-case words, each between single spaces, so that phrases can be looked for at word boundaries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Words(String);

impl Words {
    /// The words of a text; everything but letters and digits separates them.
    pub(crate) fn of(text: &str) -> Self {
        let lower = text.to_lowercase();
        let words = lower
            .split(|c: char| !c.is_alphanumeric())
            .filter(|w| !w.is_empty());
        Self(words.fold(String::from(" "), |all, word| all + word + " "))
    }

    /// The words one by one.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &str> {
        self.0.split_whitespace()
    }

    /// True if the text has this phrase.
    ///
    /// - `phrase`: lower-case words; a `*` at its end stands for any ending of the last word, a `^` at its beginning for
    ///   the beginning of the text
    pub(crate) fn has(&self, phrase: &str) -> bool {
        let (phrase, at_start) = match phrase.strip_prefix('^') {
            Some(rest) => (rest, true),
            None => (phrase, false),
        };
        let wanted = match phrase.strip_suffix('*') {
            Some(stem) => format!(" {stem}"),
            None => format!(" {phrase} "),
        };
        if at_start {
            self.0.starts_with(&wanted)
        } else {
            self.0.contains(&wanted)
        }
    }

    /// True if the text has one of these phrases, which are written with commas between them.
    pub(crate) fn has_any(&self, phrases: &str) -> bool {
        phrases.split(", ").any(|phrase| self.has(phrase))
    }

    /// The text without the word `lost` wherever it stands before one of `before`.
    pub(crate) fn without(&self, lost: &str, before: &[&str]) -> Self {
        let words: Vec<&str> = self.iter().collect();
        let kept = words.iter().enumerate().filter(|&(i, &word)| {
            let next = words.get(i + 1).copied().unwrap_or_default();
            word != lost || !before.iter().any(|stem| next.starts_with(stem))
        });
        Self(kept.fold(String::from(" "), |all, (_, word)| all + word + " "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn phrases_are_found_at_word_boundaries() {
        let words = Words::of("Is the X-ray of the Chest normal?");
        assert!(words.has("x ray") && words.has("norm*") && words.has("^is the"));
        assert!(!words.has("ray of") || words.has("ray of the"));
        assert!(!words.has("rmal") && !words.has("^the") && !words.has("hest"));
    }

    #[test]
    fn a_word_can_be_lost_where_it_is_part_of_a_name() {
        let words = Words::of("a small mass in the small bowel").without("small", &["bowel"]);
        assert_eq!(words, Words::of("a small mass in the bowel"));
    }
}
