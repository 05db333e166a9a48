//! Zero-shot findings of fresh phantoms: calibration on one set of seeds, figures on another.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::Result;
use candle_core::Device;
use lucency_nn::ops::l2_normalise;
use lucency_nn::{Interrupt, Mode, Progress};
use lucency_packs::Platt;
use lucency_phantom::{AnswerType, Finding, Site, Spec, View};
use lucency_train::calibration;
use lucency_train::contrastive::PoolEmbedding;
use lucency_train::metrics::{
    Confusion, argmax, auroc, ece_binary, per_class_recall, vqa::normalise_answer,
};
use lucency_zoo::clip::Clip;
use lucency_zoo::preprocess::{Image8, Preprocess};
use lucency_zoo::tokenizer::ClipTokenizer;
use lucency_zoo::vqa::{AnswerHead, Question, image_features};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;
use serde::Serialize;

use super::clip::CONTEXT;
use super::mednist::MedNistImage;
use super::phantoms;
use super::prompts::{CLASSES, Prompts};

/// The share of cases that an operating point should find.
const LEAST_SENSITIVITY: f64 = 0.6;

/// A phantom's first view with what the towers make of it.
pub struct Judged {
    spec: Spec,
    view: View,
    embedding: Vec<f32>, // unit length
    features: Vec<f32>,
}

/// One finding's figures.
#[derive(Clone, Debug, Serialize)]
pub struct FindingFigure {
    /// AUROC on the test seeds.
    pub auroc: f64,
    /// Calibration error there.
    pub ece: f64,
    /// Probability from margin.
    #[serde(skip)]
    pub platt: Platt,
}

/// Figures of findings, classes and questions.
#[derive(Clone, Debug, Serialize)]
pub struct FindingFigures {
    /// Test phantoms.
    pub n: usize,
    /// Mean AUROC over findings.
    pub macro_auroc: f64,
    /// Each finding.
    pub findings: BTreeMap<String, FindingFigure>,
    /// Closed questions about the test phantoms: how many, share right.
    pub phantom_questions: (usize, f64),
    /// MedNIST's held-out images: how many, accuracy, recall by class.
    pub six_classes: (usize, f64, Vec<f64>),
}

impl fmt::Display for FindingFigures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "findings on {} phantoms: macro AUROC {:.4}",
            self.n, self.macro_auroc
        )?;
        for (name, figure) in &self.findings {
            writeln!(
                f,
                "  {name}: AUROC {:.4}, ECE {:.3}",
                figure.auroc, figure.ece
            )?;
        }
        let (n, right) = self.phantom_questions;
        writeln!(f, "closed questions on phantoms: n {n}, right {right:.4}")?;
        let (n, accuracy, recall) = &self.six_classes;
        write!(
            f,
            "MedNIST held out: n {n}, accuracy {accuracy:.4}, recall {recall:.3?}"
        )
    }
}

/// Phantoms as they occur (not balanced as for training), at a larger size than training saw, through the exact preprocessing.
pub fn judge_set(
    clip: &Clip,
    preprocess: &Preprocess,
    first: u64,
    count: u64,
    stop: &Interrupt,
    report: &(dyn Fn(Progress) + Sync),
) -> Result<Vec<Judged>> {
    let done = AtomicU64::new(0);
    let rendered: Vec<(Spec, View, Image8)> = (0..count)
        .into_par_iter()
        .map(|i| -> Result<_> {
            anyhow::ensure!(!stop.is_stopped(), "stopped");
            let seed = first + i;
            let site = if seed.is_multiple_of(2) {
                Site::A
            } else {
                Site::B
            };
            let spec = Spec::sample(seed, site);
            let view = spec.views[0];
            let image = phantoms::render_large(&spec, view, &mut ChaCha8Rng::seed_from_u64(seed))?;
            let n = done.fetch_add(1, Ordering::Relaxed) + 1;
            if n.is_multiple_of(100) {
                report(Progress::new("judged phantoms", n, count));
            }
            Ok((spec, view, image))
        })
        .collect::<Result<_>>()?;
    let mut out = Vec::with_capacity(rendered.len());
    for chunk in rendered.chunks(32) {
        let images: Vec<&Image8> = chunk.iter().map(|(.., image)| image).collect();
        let pixels = preprocess.batch(&images, &Device::Cpu)?;
        let features: Vec<Vec<f32>> = image_features(clip, &pixels)?.to_vec2()?;
        let embeddings =
            l2_normalise(&clip.encode_image(&pixels, Mode::Eval)?)?.to_vec2::<f32>()?;
        for (((spec, view, _), features), embedding) in chunk.iter().zip(features).zip(embeddings) {
            out.push(Judged {
                spec: spec.clone(),
                view: *view,
                embedding,
                features,
            });
        }
    }
    Ok(out)
}

/// Calibrates every finding on one set and measures on the other.
pub fn measure(
    clip: &Clip,
    tokenizer: &ClipTokenizer,
    prompts: &Prompts,
    calibration: &[Judged],
    test: &[Judged],
) -> Result<FindingFigures> {
    let pool = PoolEmbedding::new(clip, tokenizer, &prompts.pool, CONTEXT)?;
    let margins = |finding: Finding, set: &[Judged]| -> (Vec<f64>, Vec<bool>) {
        let direction = &pool.claims[prompts.claim(finding.name())];
        set.iter()
            .filter(|j| finding.is_decidable_on(j.view))
            .map(|j| {
                (
                    f64::from(pool.scale * dot(&j.embedding, direction)),
                    j.spec.has(finding),
                )
            })
            .unzip()
    };
    let mut findings = BTreeMap::new();
    let mut sum = 0.0;
    for finding in Finding::CHEST.into_iter().chain(Finding::HEAD) {
        let (scores, labels) = margins(finding, calibration);
        let fitted = calibration::Platt::fit(&scores, &labels)?;
        let threshold = operating_point(&scores, &labels, &fitted);
        let platt = Platt {
            scale: fitted.slope,
            shift: fitted.offset,
            threshold,
        };
        let (scores, labels) = margins(finding, test);
        let probabilities: Vec<f64> = scores.iter().map(|s| platt.probability(*s)).collect();
        let figure = FindingFigure {
            auroc: auroc(&scores, &labels)?,
            ece: ece_binary(&probabilities, &labels)?,
            platt,
        };
        sum += figure.auroc;
        findings.insert(finding.name().to_string(), figure);
    }
    Ok(FindingFigures {
        n: test.len(),
        macro_auroc: sum / findings.len() as f64,
        findings,
        phantom_questions: (0, 0.0),
        six_classes: (0, 0.0, Vec::new()),
    })
}

/// The probability from which a finding counts as present: one half, or, where that would find less than 60 % of the
/// cases, the highest that finds them, but never less than 0.3.
fn operating_point(scores: &[f64], labels: &[bool], platt: &calibration::Platt) -> f64 {
    let probabilities: Vec<f64> = scores.iter().map(|s| platt.apply(*s)).collect();
    let found = |threshold: f64| {
        Confusion::at(threshold, &probabilities, labels).map_or(0.0, |c| c.sensitivity())
    };
    (30..=50)
        .rev()
        .map(|percent| f64::from(percent) / 100.0)
        .find(|t| found(*t) >= LEAST_SENSITIVITY)
        .unwrap_or(0.3)
}

/// Accuracy of the six zero-shot classes on MedNIST's held-out images, through the exact preprocessing.
pub fn six_classes(
    clip: &Clip,
    tokenizer: &ClipTokenizer,
    preprocess: &Preprocess,
    prompts: &Prompts,
    images: &[MedNistImage],
) -> Result<(usize, f64, Vec<f64>)> {
    let pool = PoolEmbedding::new(clip, tokenizer, &prompts.pool, CONTEXT)?;
    let held_out: Vec<&MedNistImage> = images.iter().filter(|i| i.held_out).collect();
    let mut scores = Vec::new();
    let mut labels = Vec::new();
    for chunk in held_out.chunks(32) {
        let full: Vec<Image8> = chunk
            .iter()
            .map(|i| Ok(Image8::decode(&std::fs::read(&i.path)?)?))
            .collect::<Result<_>>()?;
        let pixels = preprocess.batch(&full.iter().collect::<Vec<_>>(), &Device::Cpu)?;
        let embedded = l2_normalise(&clip.encode_image(&pixels, Mode::Eval)?)?.to_vec2::<f32>()?;
        for (image, embedding) in chunk.iter().zip(embedded) {
            scores.push(
                pool.classes[CLASSES]
                    .iter()
                    .map(|c| f64::from(dot(&embedding, c)))
                    .collect::<Vec<_>>(),
            );
            labels.push(image.class);
        }
    }
    let right = scores
        .iter()
        .zip(&labels)
        .filter(|(s, l)| argmax(s) == **l)
        .count();
    let recall = per_class_recall(&scores, &labels)?
        .into_iter()
        .map(|r| r.unwrap_or(0.0))
        .collect();
    Ok((labels.len(), right as f64 / labels.len() as f64, recall))
}

/// How many closed questions about phantoms, and the share answered right.
pub fn phantom_questions(
    clip: &Clip,
    tokenizer: &ClipTokenizer,
    head: &AnswerHead,
    set: &[Judged],
) -> Result<(usize, f64)> {
    let mut n = 0usize;
    let mut right = 0usize;
    for judged in set {
        let mut rng = ChaCha8Rng::seed_from_u64(judged.spec.seed ^ 0x74_6573);
        let pairs = judged.spec.questions_on(judged.view, &mut rng);
        let closed: Vec<_> = pairs
            .iter()
            .filter(|p| p.answer_type == AnswerType::Closed)
            .take(6)
            .collect();
        if closed.is_empty() {
            continue;
        }
        let texts: Vec<&str> = closed.iter().map(|p| p.question.as_str()).collect();
        let questions = Question::batch(clip, tokenizer, &texts, head.config().buckets)?;
        let features =
            candle_core::Tensor::new(judged.features.as_slice(), &Device::Cpu)?.unsqueeze(0)?;
        let features = features
            .broadcast_as((closed.len(), judged.features.len()))?
            .contiguous()?;
        let refs: Vec<&Question> = questions.iter().collect();
        let logits: Vec<Vec<f32>> = head.forward(&features, &refs)?.to_vec2()?;
        for (pair, row) in closed.iter().zip(logits) {
            let row: Vec<f64> = row.into_iter().map(f64::from).collect();
            n += 1;
            right +=
                usize::from(head.config().answers[argmax(&row)] == normalise_answer(&pair.answer));
        }
    }
    Ok((n, right as f64 / n.max(1) as f64))
}

fn dot(a: &[f32], b: &[f32]) -> f32 {
    a.iter().zip(b).map(|(x, y)| x * y).sum()
}
