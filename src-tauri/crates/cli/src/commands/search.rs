//! `lucency search`: words in the reports, captions and questions of the case library.

use clap::Args;
use lucency_library::search::{WordHits, WordQuery};
use lucency_library::{Filter, Storage, TextKind};

use super::library::{error, facts_text, open_existing};
use crate::output::{CommandError, Output};

/// `lucency search TEXT`
#[derive(Args)]
pub struct Search {
    /// Words that must all occur; "several words" in that order, -word must not occur, lung* begins a word
    #[arg(allow_hyphen_values = true)]
    text: String,
    /// Most cases to show
    #[arg(short, default_value_t = 10)]
    k: usize,
    /// Condition: source, modality, body_part, view, sex, age, date, label, split, patient, not_patient; may be repeated
    #[arg(long, value_name = "KEY=VALUE")]
    filter: Vec<String>,
    /// Search in these alone; may be repeated
    #[arg(long, value_name = "report|caption|question")]
    kind: Vec<String>,
}

impl Search {
    /// Searches and prints.
    pub fn run(&self, output: Output) -> Result<(), CommandError> {
        let kinds = self.kind.iter().map(|word| match word.as_str() {
            "report" => Ok(TextKind::Report),
            "caption" => Ok(TextKind::Caption),
            "question" => Ok(TextKind::Question),
            other => Err(CommandError::new(
                "bad_request",
                format!(
                    "there are no texts of the kind {other:?}; kinds are report, caption, question"
                ),
            )),
        });
        let query = WordQuery {
            text: self.text.clone(),
            filter: Filter::parse(&self.filter).map_err(error)?,
            kinds: kinds.collect::<Result<_, _>>()?,
            k: self.k,
        };
        let hits = open_existing()?.search_words(&query).map_err(error)?;
        output.print(&hits, text)
    }
}

fn text(hits: &WordHits) -> String {
    let mut lines = Vec::new();
    for hit in &hits.hits {
        let excerpt: String = hit
            .excerpt
            .iter()
            .map(|piece| match piece.matched {
                true => format!("[{}]", piece.text),
                false => piece.text.replace('\n', " "),
            })
            .collect();
        lines.push(format!(
            "{:6.2}  {}  {}\n        {excerpt}",
            hit.score,
            hit.case_id,
            facts_text(&hit.facts)
        ));
    }
    if hits.hits.is_empty() {
        lines.push("no case has these words".into());
    }
    if hits.only_latest_ranked {
        lines.push(
            "very many texts have these words: only the latest 20 000 were ranked; add words"
                .into(),
        );
    }
    lines.join("\n")
}
