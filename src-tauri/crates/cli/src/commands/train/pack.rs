//! Writing the demo pack: weights, tokenizer, head, manifest, card.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, Result};
use candle_core::{DType, Tensor};
use lucency_nn::{Weights, save_tensors};
use lucency_packs::{
    Answers, Architecture, Decision, Existing, FORMAT, Figure, Label, LabelSet, PackBuilder,
    PackManifest, ROLE_ANSWERS, ROLE_CARD, ROLE_TOKENIZER, ROLE_WEIGHTS, TokenizerSpec,
};
use lucency_phantom::Finding;
use lucency_train::checkpoint::State;
use lucency_zoo::clip::ClipConfig;
use lucency_zoo::preprocess::Preprocess;
use lucency_zoo::vqa::AnswerHeadConfig;

use super::card;
use super::findings::FindingFigures;
use super::measured::{Measured, POOLED};
use super::prompts::{CLASS_TEMPLATES, CLASSES, MEDNIST, Prompts};

/// The largest logarithm of the logit scale; training clamps it, use does not.
const LARGEST_LOG_SCALE: f32 = 4.605_170_2;
/// A blank image whose confidence is at most this much lower made no difference.
const BLANK_MARGIN: f64 = 0.1;
/// Licence of the weights: share-alike because of MedNIST.
pub const LICENCE: &str = "CC-BY-SA-4.0";

/// What the pack is made of.
pub struct Parts<'a> {
    /// The towers' sizes.
    pub clip_config: ClipConfig,
    /// From image to input.
    pub preprocess: Preprocess,
    /// The head's sizes and answers.
    pub head: AnswerHeadConfig,
    /// Figures and calibration.
    pub measured: &'a Measured,
    /// Wordings.
    pub prompts: &'a Prompts,
    /// The towers, 16 bit.
    pub weights: &'a Path,
    /// The head, 16 bit.
    pub head_file: &'a Path,
    /// Kept token ids.
    pub tokenizer: &'a Path,
    /// The towers' runs, in their order.
    pub stages: Vec<State>,
    /// A sentence about them.
    pub note: Option<&'a str>,
}

/// Writes averaged towers as 16-bit floats, with the logit scale as training used it.
pub fn save_towers(weights: &Weights, path: &Path) -> Result<()> {
    let mut tensors: BTreeMap<String, Tensor> = weights.tensors();
    tensors.retain(|key, _| !key.starts_with("guide.")); // served training alone
    if let Some(scale) = tensors.get("logit_scale") {
        let clamped = scale.to_scalar::<f32>()?.min(LARGEST_LOG_SCALE);
        let clamped = Tensor::new(clamped, scale.device())?;
        tensors.insert("logit_scale".into(), clamped);
    }
    save_tensors(&tensors, path, DType::F16)?;
    Ok(())
}

/// Writes the pack in place of an older one.
pub fn write(destination: &Path, parts: &Parts<'_>) -> Result<()> {
    let measured = parts.measured;
    let findings = measured
        .findings
        .as_ref()
        .context("the findings were not measured")?;
    let mut builder = PackBuilder::new(destination)?;
    builder.add_copy(ROLE_WEIGHTS, "model.safetensors", parts.weights)?;
    builder.add_copy(ROLE_ANSWERS, "answers.safetensors", parts.head_file)?;
    builder.add_copy(ROLE_TOKENIZER, "tokenizer.json", parts.tokenizer)?;
    builder.add_bytes(ROLE_CARD, "CARD.md", card::text(parts, findings).as_bytes())?;
    let manifest = PackManifest {
        format: FORMAT,
        name: "demo".into(),
        title: "Lucency demo model".into(),
        version: env!("CARGO_PKG_VERSION").into(),
        licence: LICENCE.into(),
        intended_use: "Trying the application on its synthetic demo studies, and tests. It has seen next to no real \
            clinical images and must not be used for patients."
            .into(),
        card: Some("CARD.md".into()),
        architecture: Architecture::Clip(parts.clip_config.clone()),
        preprocessing: parts.preprocess.clone(),
        tokenizer: TokenizerSpec::ClipPruned {
            file: "tokenizer.json".into(),
            context: parts.clip_config.text.context,
        },
        zero_shot_templates: CLASS_TEMPLATES.iter().map(|t| (*t).to_string()).collect(),
        files: Vec::new(),
        answers: Some(Answers {
            config: parts.head.clone(),
            temperature: 1.0,
            threshold: round(measured.threshold, 4),
            blank_margin: BLANK_MARGIN,
        }),
        network: None,
        label_sets: label_sets(parts.prompts, findings),
        figures: figures(measured, findings),
    };
    builder.finish(manifest, Existing::Replace)?;
    Ok(())
}

fn label_sets(prompts: &Prompts, figures: &FindingFigures) -> Vec<LabelSet> {
    let label = |finding: &Finding| {
        let claim = &prompts.pool.claims[prompts.claim(finding.name())];
        Label {
            name: finding.name().into(),
            aliases: aliases(*finding).iter().map(|a| (*a).to_string()).collect(),
            positive: claim.positive.clone(),
            negative: claim.negative.clone(),
            calibration: figures
                .findings
                .get(finding.name())
                .map(|f| lucency_packs::Platt {
                    scale: round(f.platt.scale, 6),
                    shift: round(f.platt.shift, 6),
                    threshold: f.platt.threshold,
                }),
        }
    };
    let classes = MEDNIST.iter().enumerate().map(|(i, (name, _, words))| {
        let kind = match *name {
            "CXR" => Some("chest-radiograph"),
            "HeadCT" => Some("head-ct"),
            _ => None,
        };
        Label {
            name: (*name).into(),
            aliases: words
                .iter()
                .copied()
                .chain(kind)
                .map(str::to_string)
                .collect(),
            positive: prompts.pool.class_sets[CLASSES].classes[i].texts.clone(),
            negative: Vec::new(),
            calibration: None,
        }
    });
    vec![
        LabelSet {
            name: "chest-radiograph".into(),
            title: "Findings on a chest radiograph".into(),
            modalities: vec!["DX".into(), "CR".into()],
            body_part: Some("CHEST".into()),
            decision: Decision::Independent,
            labels: Finding::CHEST.iter().map(label).collect(),
        },
        LabelSet {
            name: "head-ct".into(),
            title: "Findings on a CT of the head".into(),
            modalities: vec!["CT".into()],
            body_part: Some("HEAD".into()),
            decision: Decision::Independent,
            labels: Finding::HEAD.iter().map(label).collect(),
        },
        LabelSet {
            name: "modality-and-region".into(),
            title: "Modality and region".into(),
            modalities: Vec::new(),
            body_part: None,
            decision: Decision::Exclusive,
            labels: classes.collect(),
        },
    ]
}

fn aliases(finding: Finding) -> &'static [&'static str] {
    match finding {
        Finding::Cardiomegaly => &["enlarged heart"],
        Finding::PleuralEffusion => &["effusion"],
        Finding::Consolidation => &["pneumonia"],
        Finding::Nodule => &["lung nodule"],
        Finding::Line => &["catheter or tube"],
        Finding::Haemorrhage => &["hemorrhage", "bleeding"],
        Finding::Infarct => &["stroke"],
        Finding::Mass => &["brain mass", "tumour"],
        _ => &[],
    }
}

const ANSWERS_COMMAND: &str =
    "lucency train answers --preset demo --run RUN --mednist DIR --vqa-rad DIR --out PACK";

fn figures(measured: &Measured, findings: &FindingFigures) -> Vec<Figure> {
    let figure = |measure: String, value: f64, data: &str| Figure {
        measure,
        value: round(value, 4),
        data: data.into(),
        command: ANSWERS_COMMAND.into(),
        machine: None,
    };
    let mut out = Vec::new();
    let (n, accuracy, _) = &findings.six_classes;
    out.push(figure(
        "accuracy, six classes, zero-shot".into(),
        *accuracy,
        &format!("MedNIST, every fifth image of a class, n {n}"),
    ));
    let phantoms = format!("{} phantoms of fresh seeds", findings.n);
    out.push(figure(
        "macro AUROC, zero-shot findings".into(),
        findings.macro_auroc,
        &phantoms,
    ));
    for (name, f) in &findings.findings {
        out.push(figure(
            format!("AUROC, {name}, zero-shot"),
            f.auroc,
            &phantoms,
        ));
    }
    let (n, right) = findings.phantom_questions;
    out.push(figure(
        "accuracy, closed questions".into(),
        right,
        &format!("{phantoms}, {n} questions"),
    ));
    for (name, rates) in &measured.answers {
        let data = format!("{name}, n {}", rates.n);
        for (measure, value) in [
            ("open", rates.open),
            ("closed", rates.closed),
            ("overall", Some(rates.overall)),
        ] {
            if let Some(value) = value {
                out.push(figure(format!("accuracy, {measure}"), value, &data));
            }
        }
    }
    if let Some(rates) = measured.answers.get(POOLED) {
        let data = format!("{POOLED}, n {}", rates.n);
        out.push(figure(
            "expected calibration error".into(),
            rates.ece,
            &data,
        ));
        out.push(figure("coverage".into(), rates.coverage, &data));
        if let Some(accuracy) = rates.selective_accuracy {
            out.push(figure("accuracy when answered".into(), accuracy, &data));
        }
    }
    out
}

/// Rounds for people; the manifest is text.
pub fn round(value: f64, digits: i32) -> f64 {
    let factor = 10f64.powi(digits);
    (value * factor).round() / factor
}
