//! The case that is worth a label next.

use std::collections::HashMap;

use lucency_library::{
    EmbeddingKind, Embeddings, Filter, LabelScheme, Labelling as _, SqliteStore, reader_name,
};
use lucency_nn::{Interrupt, Progress};
use lucency_train::acquisition::{Uncertainty, k_centre, uncertainty};

use super::scores::{Known, probabilities};
use crate::assistant::Assistant;
use crate::cases::{CaseLibrary, space};
use crate::dto::{LabelBasis, LabelCandidate, LabelNext, LabelNextRequest, LabelStrategy};
use crate::error::{AssistantError, Result};

/// Most cases that one question names.
const MOST: usize = 100;

/// A vector a case: that of its first image with an embedding.
type Vectors = HashMap<String, Vec<f32>>;

impl CaseLibrary {
    /// The cases that teach most if they are labelled next.
    ///
    /// - `assistant`: needed unless the strategy is [`LabelStrategy::Random`]
    ///
    /// Uncertainty is that of a probe on the cases that this reader labelled, or of the pack's own comparison with the labels' words
    /// while they are too few; of a pack that reads images only, the core-set takes its place. What others said is never used.
    ///
    /// Errors if there is no library or set, nothing is embedded, or with [`AssistantError::Stopped`].
    pub fn next_to_label(
        &self,
        assistant: Option<&Assistant>,
        request: &LabelNextRequest,
        stop: &Interrupt,
        report: &mut dyn FnMut(Progress),
    ) -> Result<LabelNext> {
        let store = self.existing()?;
        let set = store.label_set(&request.set)?;
        let reader = reader_name(&request.reader)?;
        let filter = Filter::parse(&request.conditions)?;
        let by = request.read_by.as_deref();
        let mut left = store.unread(&filter, &reader, &set.classes, by)?;
        left.retain(|id| !request.skip.contains(id));
        let mut next = LabelNext {
            cases: Vec::new(),
            basis: LabelBasis::Chance,
            left: left.len(),
            unembedded: 0,
            learned_from: 0,
        };
        let count = request.count.clamp(1, MOST);
        let assistant = match (request.strategy, assistant) {
            (LabelStrategy::Random, _) | (_, None) => {
                next.cases = by_chance(left, &set, &reader, count);
                return Ok(next);
            }
            (_, Some(assistant)) => assistant,
        };
        report(Progress::new("reading embeddings", 0, 0));
        let vectors = vectors(&store, assistant, stop)?;
        let before = left.len();
        left.retain(|id| vectors.contains_key(id));
        next.unembedded = before - left.len();
        if left.is_empty() {
            return match before {
                0 => Ok(next),
                _ => Err(not_embedded(before)),
            };
        }
        report(Progress::new("comparing cases", 0, 0));
        let known = Known::of(&store, &set, &reader, &vectors)?;
        let points: Vec<&[f32]> = left.iter().map(|id| vectors[id].as_slice()).collect();
        let measure = match request.strategy {
            LabelStrategy::Margin => Uncertainty::Margin,
            _ => Uncertainty::Entropy,
        };
        let scored = match request.strategy {
            LabelStrategy::CoreSet => None,
            _ => probabilities(assistant, &set, &known, &points)?,
        };
        if stop.is_stopped() {
            return Err(AssistantError::Stopped);
        }
        let chosen = match &scored {
            None => {
                next.basis = LabelBasis::Embeddings;
                k_centre(&points, &known.vectors, count)?
            }
            Some(scored) => {
                next.basis = scored.basis;
                next.learned_from = scored.learned_from;
                most_uncertain(&scored.rows, set.exclusive, measure, count)?
            }
        };
        let candidate = |(i, score): (usize, f64)| LabelCandidate {
            case_id: left[i].clone(),
            score: Some(score),
        };
        next.cases = chosen.into_iter().map(candidate).collect();
        Ok(next)
    }
}

fn not_embedded(cases: usize) -> AssistantError {
    AssistantError::Data(format!(
        "none of the {cases} cases that are left has an embedding of the pack in use; embed the library first \
         (`lucency library embed`), or let chance choose"
    ))
}

/// Numbers and uncertainties of the most uncertain rows; of equals the first.
fn most_uncertain(
    rows: &[Vec<f64>],
    exclusive: bool,
    by: Uncertainty,
    count: usize,
) -> Result<Vec<(usize, f64)>> {
    let mut all = Vec::with_capacity(rows.len());
    for (i, row) in rows.iter().enumerate() {
        all.push((i, uncertainty(row, exclusive, by)?));
    }
    all.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
    all.truncate(count);
    Ok(all)
}

/// An order without meaning, the same each time for a reader and a set, and another for every reader.
fn by_chance(
    left: Vec<String>,
    set: &LabelScheme,
    reader: &str,
    count: usize,
) -> Vec<LabelCandidate> {
    let mut all: Vec<(String, String)> = left
        .into_iter()
        .map(|id| {
            let text = format!(
                "{}\n{}\n{id}",
                set.name.to_lowercase(),
                reader.to_lowercase()
            );
            (lucency_packs::digest(text.as_bytes()), id)
        })
        .collect();
    all.sort();
    let candidate = |(_, case_id): (String, String)| LabelCandidate {
        case_id,
        score: None,
    };
    all.into_iter().take(count).map(candidate).collect()
}

/// Every case's vector in the space of the pack in use.
fn vectors(store: &SqliteStore, assistant: &Assistant, stop: &Interrupt) -> Result<Vectors> {
    let mut vectors = Vectors::new();
    let space = space(assistant, EmbeddingKind::Image);
    for embedding in Embeddings::new(store, space, 0) {
        if stop.is_stopped() {
            return Err(AssistantError::Stopped);
        }
        let embedding = embedding?;
        let numbers = || embedding.vector.iter().map(|x| x.to_f32()).collect();
        vectors.entry(embedding.case_id).or_insert_with(numbers);
    }
    Ok(vectors)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_most_uncertain_come_first_and_chance_depends_on_the_reader() {
        let rows = [vec![0.9, 0.1], vec![0.5, 0.5], vec![0.4, 0.6]];
        let found = most_uncertain(&rows, true, Uncertainty::Margin, 2).unwrap_or_default();
        let order: Vec<usize> = found.iter().map(|(i, _)| *i).collect();
        assert_eq!(order, [1, 2]);
        let set = LabelScheme {
            name: "s".into(),
            exclusive: true,
            classes: vec!["a".into(), "b".into()],
        };
        let ids: Vec<String> = (0..50).map(|i| format!("case-{i}")).collect();
        let of = |reader: &str| by_chance(ids.clone(), &set, reader, 50);
        assert_eq!(of("Anna"), of("anna"), "the same each time");
        assert_ne!(of("Anna"), of("Ben"));
    }
}
