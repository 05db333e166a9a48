//! Zero-shot findings: prompts of a label set against one image.
//!
//! Source: Radford et al. 2021, section 3.1 (prompt ensembles are averaged in embedding space).

use std::time::Instant;

use candle_core::Tensor;
use jiff::Timestamp;
use lucency_packs::{Decision, Label, LabelSet, Platt};

use crate::assistant::Assistant;
use crate::dto::{FindingScore, Findings, Provenance};
use crate::error::{AssistantError, Result};
use crate::finetune::ActiveAdapter;
use crate::picture::Picture;
use crate::provenance::provenance;

/// The mean prompt embeddings of a label set.
pub(crate) struct LabelEmbeddings {
    /// `[labels, dim]`, unit length.
    positive: Tensor,
    /// `[labels, dim]`, unit length; none in an exclusive set.
    negative: Option<Tensor>,
}

impl Assistant {
    /// Scores every label of `labels` (or of the adapter in use, or of the pack's set for this kind of image) on one picture.
    ///
    /// Errors if the pack has no label set and none is given.
    pub fn findings(
        &self,
        picture: &Picture,
        labels: Option<&LabelSet>,
        now: Timestamp,
    ) -> Result<Findings> {
        let begun = Instant::now();
        let adapter = self
            .adapter()
            .filter(|a| labels.is_none() && a.knows_classes());
        if let Some(adapter) = adapter {
            return self.findings_of(adapter, picture, begun, now);
        }
        let (set, note) = match labels {
            Some(set) => (set, note_on_set(set, picture)),
            None => self.label_set_for(picture)?,
        };
        let scores = self.score_labels(picture, set)?;
        let mut findings: Vec<FindingScore> = set
            .labels
            .iter()
            .zip(&scores)
            .map(|(label, &score)| finding(set, label, score, &scores))
            .collect();
        findings.sort_by(|a, b| b.score.total_cmp(&a.score));
        Ok(Findings {
            label_set: set.title.clone(),
            findings,
            calibrated: set.is_calibrated(),
            note,
            provenance: provenance(self.pack(), picture, begun, now),
        })
    }

    /// What the adapter in use says of its own classes.
    fn findings_of(
        &self,
        adapter: &ActiveAdapter,
        picture: &Picture,
        begun: Instant,
        now: Timestamp,
    ) -> Result<Findings> {
        let (findings, note) = adapter.findings(self, picture)?;
        Ok(Findings {
            label_set: format!("Your classes ({})", adapter.name()),
            findings,
            calibrated: adapter.is_calibrated(),
            note,
            provenance: Provenance {
                adapter: Some(adapter.name().to_owned()),
                ..provenance(self.pack(), picture, begun, now)
            },
        })
    }

    /// Probability of each label of the set on one picture, in the set's order.
    pub fn score_labels(&self, picture: &Picture, set: &LabelSet) -> Result<Vec<f64>> {
        let margins = self.label_margins(picture, set)?;
        Ok(match set.decision {
            Decision::Independent => set
                .labels
                .iter()
                .zip(margins)
                .map(|(label, margin)| calibration(label).probability(margin))
                .collect(),
            Decision::Exclusive => softmax(&margins),
        })
    }

    /// Uncalibrated score of each label: positive minus negative logit, or the logit in an exclusive set.
    pub fn label_margins(&self, picture: &Picture, set: &LabelSet) -> Result<Vec<f64>> {
        let embeddings = self.label_embeddings(set)?;
        let image = self.image_embedding(picture)?; // [dim], unit length
        let image = image.unsqueeze(1)?; // [dim, 1]
        let scale = self.scale()?;
        let logits = |text: &Tensor| -> Result<Vec<f64>> {
            let cosine = text.matmul(&image)?.squeeze(1)?.to_vec1::<f32>()?; // [labels]
            Ok(cosine.iter().map(|&c| f64::from(c) * scale).collect())
        };
        let positive = logits(&embeddings.positive)?;
        let Some(negative) = &embeddings.negative else {
            return Ok(positive);
        };
        let negative = logits(negative)?;
        Ok(positive.iter().zip(negative).map(|(p, n)| p - n).collect())
    }

    /// The pack's label set for this kind of image, and what the reader has to know about the choice.
    fn label_set_for(&self, picture: &Picture) -> Result<(&LabelSet, String)> {
        let manifest = self.pack().manifest();
        let independent = || {
            manifest
                .label_sets
                .iter()
                .filter(|set| set.decision == Decision::Independent)
        };
        if let Some(set) = independent().find(|set| is_meant_for(set, picture)) {
            return Ok((set, String::new()));
        }
        // The file does not say what it shows (a PNG, say): let the pack's own classes decide between its sets.
        if picture.modality.is_empty() {
            let mut best: Option<(&LabelSet, f64)> = None;
            for classes in manifest
                .label_sets
                .iter()
                .filter(|s| s.decision == Decision::Exclusive)
            {
                let scores = self.score_labels(picture, classes)?;
                for (label, score) in classes.labels.iter().zip(scores) {
                    let kin = independent().find(|set| names_kind(set, label));
                    if let Some(set) = kin
                        && best.is_none_or(|(_, s)| score > s)
                    {
                        best = Some((set, score));
                    }
                }
            }
            if let Some((set, score)) = best.filter(|&(_, score)| score >= 0.5) {
                let percent = (score * 100.0).round();
                return Ok((
                    set,
                    format!(
                        "The file does not say what it shows. These labels were chosen because the \
                         image looks like one they are meant for ({percent} %)."
                    ),
                ));
            }
        }
        let set = independent()
            .next()
            .or_else(|| manifest.label_sets.first())
            .ok_or_else(|| AssistantError::NoLabels(manifest.name.clone()))?;
        Ok((set, note_on_set(set, picture)))
    }

    fn label_embeddings(&self, set: &LabelSet) -> Result<std::sync::Arc<LabelEmbeddings>> {
        self.cached_labels(set, |set| {
            let mean = |prompts: fn(&Label) -> Vec<String>| -> Result<Tensor> {
                let rows: Result<Vec<Tensor>> = set
                    .labels
                    .iter()
                    .map(|label| self.mean_text_embedding(&prompts(label)))
                    .collect();
                Ok(Tensor::stack(&rows?, 0)?)
            };
            Ok(LabelEmbeddings {
                positive: mean(Label::positive_prompts)?,
                negative: match set.decision {
                    Decision::Independent => Some(mean(Label::negative_prompts)?),
                    Decision::Exclusive => None,
                },
            })
        })
    }
}

/// A set for words that no label set knows: each word in the pack's own templates, exactly one of them holds.
pub fn label_set_of_words(words: &[String], templates: &[String]) -> LabelSet {
    let plain = [String::from("{}")];
    let templates = if templates.is_empty() {
        &plain[..]
    } else {
        templates
    };
    LabelSet {
        name: "words".into(),
        title: "Given words".into(),
        modalities: Vec::new(),
        body_part: None,
        decision: Decision::Exclusive,
        labels: words
            .iter()
            .map(|word| Label {
                name: word.clone(),
                aliases: Vec::new(),
                positive: templates.to_vec(),
                negative: Vec::new(),
                calibration: None,
            })
            .collect(),
    }
}

/// Reads a label file: a TOML label set, or plain text with one word or phrase a line.
///
/// Plain lines become labels of their own: "there is W" against "no W".
///
/// Errors if the file cannot be read, is empty, or states an unusable set.
pub fn read_labels(path: &std::path::Path) -> Result<LabelSet> {
    let text = std::fs::read_to_string(path).map_err(|source| AssistantError::Io {
        what: "the label file".into(),
        source,
    })?;
    let set = if text.contains("[[labels]]") {
        toml::from_str(&text).map_err(|e| AssistantError::Labels(e.message().to_owned()))?
    } else {
        let words = text
            .lines()
            .map(str::trim)
            .filter(|l| !l.is_empty() && !l.starts_with('#'));
        LabelSet {
            name: "given".into(),
            title: "Given labels".into(),
            modalities: Vec::new(),
            body_part: None,
            decision: Decision::Independent,
            labels: words
                .map(|word| Label {
                    name: word.to_owned(),
                    aliases: Vec::new(),
                    positive: vec!["There is {}.".into(), "{} is present.".into()],
                    negative: vec!["There is no {}.".into(), "No evidence of {}.".into()],
                    calibration: None,
                })
                .collect(),
        }
    };
    set.check().map_err(AssistantError::Labels)?;
    Ok(set)
}

fn finding(set: &LabelSet, label: &Label, score: f64, all: &[f64]) -> FindingScore {
    let operating_point = match set.decision {
        Decision::Independent => calibration(label).threshold,
        // Exactly one class holds: the best one.
        Decision::Exclusive => all.iter().copied().fold(0.0, f64::max),
    };
    FindingScore {
        label: label.name.clone(),
        score,
        present: score >= operating_point,
        operating_point,
    }
}

fn calibration(label: &Label) -> Platt {
    label.calibration.unwrap_or(Platt::IDENTITY)
}

fn is_meant_for(set: &LabelSet, picture: &Picture) -> bool {
    let modality = &picture.modality;
    let part = picture.body_part.to_ascii_uppercase();
    let modality_fits = !modality.is_empty()
        && set
            .modalities
            .iter()
            .any(|m| m.eq_ignore_ascii_case(modality));
    let part_fits = match &set.body_part {
        None => true,
        Some(wanted) => part.is_empty() || part.contains(&wanted.to_ascii_uppercase()),
    };
    modality_fits && part_fits
}

/// True when a class such as `CXR` names the kind of image that `set` is meant for.
fn names_kind(set: &LabelSet, class: &Label) -> bool {
    let words = std::iter::once(&class.name).chain(&class.aliases);
    let kind = |word: &String| word.eq_ignore_ascii_case(&set.name);
    words.into_iter().any(kind)
}

fn note_on_set(set: &LabelSet, picture: &Picture) -> String {
    let unspecific = set.modalities.is_empty() && set.body_part.is_none();
    if unspecific || is_meant_for(set, picture) {
        return String::new();
    }
    let kind = if picture.modality.is_empty() {
        "The file does not say what it shows.".to_owned()
    } else {
        format!(
            "The file states the modality {}{}.",
            picture.modality,
            if picture.body_part.is_empty() {
                String::new()
            } else {
                format!(" and the body part {}", picture.body_part.to_lowercase())
            }
        )
    };
    format!(
        "{kind} These labels are meant for: {}. Do not rely on the scores.",
        set.title
    )
}

pub(crate) fn softmax(logits: &[f64]) -> Vec<f64> {
    let top = logits.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let exp: Vec<f64> = logits.iter().map(|l| (l - top).exp()).collect();
    let sum: f64 = exp.iter().sum();
    exp.iter().map(|e| e / sum).collect()
}
