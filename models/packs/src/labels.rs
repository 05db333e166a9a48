//! Label sets: what zero-shot findings look for, in words.

use serde::{Deserialize, Serialize};

/// A list of labels that belong together, such as the findings of a chest radiograph.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LabelSet {
    /// Short name that commands use.
    pub name: String,
    /// Name for people.
    pub title: String,
    /// DICOM modalities the set is meant for (`DX`, `CR`, `CT`); empty for any.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub modalities: Vec<String>,
    /// Body part the set is meant for, in DICOM's words (`CHEST`, `HEAD`); absent for any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body_part: Option<String>,
    /// Whether several labels can hold at once.
    pub decision: Decision,
    /// The labels.
    pub labels: Vec<Label>,
}

/// How the scores of a label set relate to each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Decision {
    /// Each label for itself, its positive prompts against its negative ones: findings.
    Independent,
    /// Exactly one label holds; a softmax over the positive prompts: classes.
    Exclusive,
}

/// One label.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Label {
    /// The field's word for it.
    pub name: String,
    /// Other words for it; each makes prompts of its own.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub aliases: Vec<String>,
    /// Prompts that say it is there; `{}` stands for the name and for each alias.
    pub positive: Vec<String>,
    /// Prompts that say it is not there; empty in an exclusive set.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub negative: Vec<String>,
    /// From the margin to a probability; absent if it was never measured.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub calibration: Option<Platt>,
}

/// Platt's scaling: probability = sigmoid(`scale` · margin + `shift`).
///
/// The margin is the label's positive minus its negative logit, where a logit is the cosine of the
/// image and the mean prompt embedding times the model's logit scale.
/// Source: Platt 1999, "Probabilistic outputs for support vector machines", eq. 1 (sign reversed).
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Platt {
    /// Factor of the margin.
    pub scale: f64,
    /// Added after scaling.
    pub shift: f64,
    /// Probability from which the label counts as present.
    pub threshold: f64,
}

impl Platt {
    /// What an uncalibrated label uses: the two-way softmax of its prompts, threshold one half.
    pub const IDENTITY: Self = Self {
        scale: 1.0,
        shift: 0.0,
        threshold: 0.5,
    };

    /// The probability for a margin.
    pub fn probability(&self, margin: f64) -> f64 {
        1.0 / (1.0 + (-(self.scale * margin + self.shift)).exp())
    }
}

impl Label {
    /// Prompts that say the label is there, one for each template and word.
    pub fn positive_prompts(&self) -> Vec<String> {
        self.fill(&self.positive)
    }

    /// Prompts that say it is not there.
    pub fn negative_prompts(&self) -> Vec<String> {
        self.fill(&self.negative)
    }

    fn fill(&self, templates: &[String]) -> Vec<String> {
        let mut prompts = Vec::new();
        for template in templates {
            if template.contains("{}") {
                let words = std::iter::once(&self.name).chain(&self.aliases);
                prompts.extend(words.map(|word| template.replace("{}", word)));
            } else {
                prompts.push(template.clone());
            }
        }
        prompts
    }
}

impl LabelSet {
    /// True if every label's score is a measured probability.
    pub fn is_calibrated(&self) -> bool {
        self.labels.iter().all(|label| label.calibration.is_some())
    }

    /// The label with a name or an alias, whatever the case of its letters.
    pub fn label(&self, word: &str) -> Option<&Label> {
        let same = |other: &String| other.eq_ignore_ascii_case(word);
        self.labels
            .iter()
            .find(|label| same(&label.name) || label.aliases.iter().any(same))
    }

    /// Checks what the types cannot say. Errors with a sentence.
    ///
    /// Label sets also come from files that users write (`lucency findings --labels`).
    pub fn check(&self) -> Result<(), String> {
        if self.labels.is_empty() {
            return Err("it has no labels".into());
        }
        for (i, label) in self.labels.iter().enumerate() {
            let name = &label.name;
            if self.labels[..i].iter().any(|other| other.name == *name) {
                return Err(format!("the label {name:?} is there twice"));
            }
            if label.positive.is_empty() {
                return Err(format!("the label {name:?} has no positive prompt"));
            }
            if self.decision == Decision::Independent && label.negative.is_empty() {
                return Err(format!("the label {name:?} has no negative prompt"));
            }
            if let Some(platt) = &label.calibration
                && !(platt.scale.is_finite()
                    && platt.shift.is_finite()
                    && (0.0..=1.0).contains(&platt.threshold))
            {
                return Err(format!("the label {name:?} has an impossible calibration"));
            }
        }
        Ok(())
    }
}
