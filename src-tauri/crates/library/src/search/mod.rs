//! Searching by words.

mod filter;

use serde::Serialize;

use crate::error::{LibraryError, Result};
use crate::records::{Facts, Filter, TextKind};

/// Begin and end a matched word in what FTS5 cuts out: start and end of text, which are taken out of reports.
pub(crate) const MARKS: [char; 2] = ['\u{2}', '\u{3}'];

/// Longest query, characters.
const MAX_QUERY: usize = 1000;

/// A search by words.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct WordQuery {
    /// Words that must all occur; `"several words"` occur in that order, `-word` does not occur, `lung*` begins a word.
    /// Accents and case do not matter.
    pub text: String,
    /// Which cases are wanted.
    pub filter: Filter,
    /// Which texts are searched; empty for all.
    pub kinds: Vec<TextKind>,
    /// Most cases to return.
    pub k: usize,
}

/// What a search by words found.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct WordHits {
    /// The best first, one a case.
    pub hits: Vec<WordHit>,
    /// True if so many texts have words that begin as is asked for (`lung*`) that only the latest of them were ranked: more
    /// words would find better. Whole words and phrases are ranked among all texts.
    pub only_latest_ranked: bool,
}

/// A case with the words.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct WordHit {
    /// The case.
    pub case_id: String,
    /// Pseudonym of its patient.
    pub patient: Option<String>,
    /// What kind of text has the words.
    pub kind: TextKind,
    /// BM25, larger is better.
    pub score: f64,
    /// The best passage, cut where matched words begin and end.
    pub excerpt: Vec<Piece>,
    /// What is known of the case.
    #[serde(flatten)]
    pub facts: Facts,
}

/// A piece of an excerpt.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Piece {
    /// The words.
    pub text: String,
    /// True for what was looked for.
    pub matched: bool,
}

/// Cuts a marked excerpt.
pub(crate) fn pieces(marked: &str) -> Vec<Piece> {
    let mut matched = false;
    let mut pieces = Vec::new();
    for text in marked.split(MARKS) {
        if !text.is_empty() {
            pieces.push(Piece {
                text: text.to_owned(),
                matched,
            });
        }
        matched = !matched;
    }
    pieces
}

impl WordQuery {
    /// What the query asks for.
    ///
    /// Errors if no word is left to look for.
    pub(crate) fn terms(&self) -> Result<Terms> {
        let bad = |why: &str| {
            Err(LibraryError::Request(format!(
                "{why}; write words of a report, such as: pleural effusion -pneumothorax"
            )))
        };
        if self.text.chars().count() > MAX_QUERY {
            return bad("the query is too long");
        }
        // FTS5 cuts the words itself; a term without a letter or digit would match nothing.
        let terms = terms(&self.text).into_iter();
        let (unwanted, wanted): (Vec<Term>, Vec<Term>) = terms
            .filter(|term| term.text.chars().any(char::is_alphanumeric))
            .partition(|term| term.excluded);
        match wanted.is_empty() {
            true => bad("there is no word to look for"),
            false => Ok(Terms { wanted, unwanted }),
        }
    }
}

/// The words and quoted phrases of a query.
#[derive(Debug)]
pub(crate) struct Terms {
    /// All of them must occur.
    pub wanted: Vec<Term>,
    /// None of them may occur.
    pub unwanted: Vec<Term>,
}

impl Terms {
    /// The query in FTS5's language: every word quoted, so that nothing a user types is an operator by accident.
    pub fn expression(&self) -> String {
        let join = |terms: &[Term], between: &str| {
            let quoted: Vec<String> = terms.iter().map(Term::quoted).collect();
            quoted.join(between)
        };
        let wanted = join(&self.wanted, " AND ");
        match self.unwanted.is_empty() {
            true => wanted,
            false => format!("({wanted}) NOT ({})", join(&self.unwanted, " OR ")),
        }
    }
}

/// A word, or a phrase of several in their order.
#[derive(Debug)]
pub(crate) struct Term {
    /// As it was typed.
    pub text: String,
    /// True if the last word may go on.
    pub prefix: bool,
    excluded: bool,
}

impl Term {
    fn quoted(&self) -> String {
        let star = if self.prefix { "*" } else { "" };
        format!("\"{}\"{star}", self.text.replace('"', " "))
    }
}

/// Words and quoted phrases of a query.
fn terms(text: &str) -> Vec<Term> {
    let mut terms = Vec::new();
    let mut rest = text.trim_start();
    while !rest.is_empty() {
        let excluded = rest.starts_with('-') && rest.len() > 1;
        if excluded {
            rest = &rest[1..];
        }
        let (word, after) = match rest.strip_prefix('"') {
            Some(inside) => inside.split_once('"').unwrap_or((inside, "")),
            None => rest.split_at(rest.find(char::is_whitespace).unwrap_or(rest.len())),
        };
        terms.push(Term {
            prefix: word.ends_with('*'),
            text: word.trim_end_matches('*').to_owned(),
            excluded,
        });
        rest = after.trim_start();
    }
    terms
}

#[cfg(test)]
mod tests {
    use super::*;

    fn expression(text: &str) -> Result<String> {
        let query = WordQuery {
            text: text.into(),
            ..WordQuery::default()
        };
        Ok(query.terms()?.expression())
    }

    #[test]
    fn whatever_is_typed_is_looked_for_literally() {
        let cases = [
            ("pleural effusion", r#""pleural" AND "effusion""#),
            (
                r#""pleural effusion" left"#,
                r#""pleural effusion" AND "left""#,
            ),
            (
                "effusion -pneumothorax",
                r#"("effusion") NOT ("pneumothorax")"#,
            ),
            ("cardio*", r#""cardio"*"#),
            ("NEAR(a) OR body:x", r#""NEAR(a)" AND "OR" AND "body:x""#),
            (r#"5" nail"#, r#""5 " AND "nail""#),
            ("a AND ) ( *", r#""a" AND "AND""#),
        ];
        for (text, wanted) in cases {
            assert_eq!(expression(text).unwrap(), wanted, "{text}");
        }
    }

    #[test]
    fn a_query_without_words_says_so() {
        for text in ["", "  ", "-x", "\"", "*", "- ( )"] {
            let error = expression(text).expect_err(text);
            assert_eq!(error.code(), "bad_request", "{text:?}");
        }
        assert!(expression(&"x".repeat(2000)).is_err(), "too long");
    }
}
