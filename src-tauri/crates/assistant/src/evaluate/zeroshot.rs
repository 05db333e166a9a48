//! Zero-shot classification of a folder per class.

use std::path::Path;

use lucency_nn::{Interrupt, Progress};
use lucency_packs::{Decision, LabelSet};
use serde::Serialize;

use super::images::classes;
use crate::assistant::Assistant;
use crate::error::{AssistantError, Result};
use crate::findings::label_set_of_words;
use crate::picture;

/// Recall of one class.
#[derive(Debug, Clone, Serialize)]
pub struct ClassRecall {
    /// The folder's name.
    pub class: String,
    /// Images.
    pub n: usize,
    /// Share of them given this class.
    pub recall: f64,
}

/// Rates as fractions of 1.
#[derive(Debug, Clone, Serialize)]
pub struct ZeroShotReport {
    /// Images that could be read.
    pub n: usize,
    /// Share of them given their class.
    pub accuracy: f64,
    /// Mean of the classes' recalls.
    pub balanced_accuracy: f64,
    /// Recall of each class.
    pub per_class_recall: Vec<ClassRecall>,
    /// The pack's label set that knows the classes, or "words" when their names were used as they are.
    pub label_set: String,
    /// Files that are not images.
    pub unreadable: usize,
}

/// Classifies every image below `data` (a folder per class) by the classes' names.
///
/// The names are matched with the labels and aliases of the pack's exclusive label sets; a set that knows them all lends
/// its prompts, otherwise each name goes into the pack's templates as it is.
///
/// Errors if there are no classes or no image can be read, or with [`AssistantError::Stopped`].
pub fn evaluate_zeroshot(
    assistant: &Assistant,
    data: &Path,
    stop: &Interrupt,
    report: &mut dyn FnMut(Progress),
) -> Result<ZeroShotReport> {
    let classes = classes(data)?;
    let names: Vec<String> = classes.iter().map(|(name, _)| name.clone()).collect();
    let set = set_for(assistant, &names);
    let total: usize = classes.iter().map(|(_, files)| files.len()).sum();
    let (mut done, mut right, mut unreadable) = (0usize, 0usize, 0usize);
    let mut per_class = Vec::new();
    for (class, (name, files)) in classes.iter().enumerate() {
        let (mut n, mut hits) = (0usize, 0usize);
        for file in files {
            if stop.is_stopped() {
                return Err(AssistantError::Stopped);
            }
            report(Progress::new("classifying", done as u64, total as u64));
            done += 1;
            let Ok(picture) = picture::open(file, 1) else {
                unreadable += 1;
                continue;
            };
            let scores = assistant.score_labels(&picture, &set)?;
            let best = lucency_train::metrics::argmax(&scores);
            n += 1;
            hits += usize::from(best == class);
        }
        right += hits;
        if n > 0 {
            per_class.push(ClassRecall {
                class: name.clone(),
                n,
                recall: hits as f64 / n as f64,
            });
        }
    }
    let n = done - unreadable;
    if n == 0 {
        return Err(AssistantError::Data(
            "no file in the data folder is an image".into(),
        ));
    }
    let sum: f64 = per_class.iter().map(|c| c.recall).sum();
    Ok(ZeroShotReport {
        n,
        accuracy: right as f64 / n as f64,
        balanced_accuracy: sum / per_class.len() as f64,
        per_class_recall: per_class,
        label_set: set.name.clone(),
        unreadable,
    })
}

/// The pack's set that knows every name, cut down to these classes and in their order; or a set of the bare words.
fn set_for(assistant: &Assistant, names: &[String]) -> LabelSet {
    let manifest = assistant.pack().manifest();
    for set in manifest
        .label_sets
        .iter()
        .filter(|s| s.decision == Decision::Exclusive)
    {
        let labels: Option<Vec<_>> = names.iter().map(|name| set.label(name).cloned()).collect();
        if let Some(labels) = labels {
            return LabelSet {
                labels,
                ..set.clone()
            };
        }
    }
    label_set_of_words(&readable(names), &manifest.zero_shot_templates)
}

/// Folder names as words: `pleural_effusion` and `PleuralEffusion` become "pleural effusion".
fn readable(names: &[String]) -> Vec<String> {
    names
        .iter()
        .map(|name| {
            let mut words = String::new();
            let mut before = ' ';
            for c in name.chars() {
                if c == '_' || c == '-' {
                    words.push(' ');
                } else {
                    if c.is_uppercase() && before.is_lowercase() {
                        words.push(' ');
                    }
                    words.extend(c.to_lowercase());
                }
                before = c;
            }
            words
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::readable;

    #[test]
    fn folder_names_become_words() {
        let names = ["AbdomenCT", "pleural_effusion", "PleuralEffusion", "hand"].map(String::from);
        assert_eq!(
            readable(&names),
            ["abdomen ct", "pleural effusion", "pleural effusion", "hand"],
            "underscores and capitals separate words"
        );
    }
}
