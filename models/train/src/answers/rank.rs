//! Fitting the ranker that weighs head and memory: a conditional logit over each question's possible answers.

use std::collections::BTreeMap;

use candle_core::{DType, Device, Tensor};
use lucency_nn::Weights;
use lucency_nn::ops::log_softmax_last;
use lucency_zoo::vqa::{AnswerHead, EVIDENCE, Ranker, RankerConfig};
use rand::Rng;
use rand_chacha::ChaCha8Rng;

use super::AnswerData;
use crate::data::rng_for;
use crate::optim::{AdamW, AdamWConfig, Schedule};
use crate::{Result, TrainError};

/// Yes, no, and none of them.
const FEW: usize = 3;
/// Rows beyond a question's last are masked with this.
const ABSENT: f32 = -1e4;

/// The possible answers to one question, and which one is right.
#[derive(Clone, Debug)]
pub struct Weighed {
    /// What speaks for each, `[candidates + 1][EVIDENCE]`; the last row is "none of these".
    pub columns: Vec<Vec<f32>>,
    /// The row that is right.
    pub right: usize,
    /// How much the question counts.
    pub weight: f32,
}

/// The numbers of a ranker's fit.
#[derive(Clone, Debug, PartialEq)]
pub struct RankConfig {
    /// Width of the hidden layer.
    pub hidden: usize,
    /// Passes over all questions.
    pub steps: u64,
    /// Peak learning rate.
    pub rate: f64,
    /// Decoupled weight decay.
    pub weight_decay: f64,
    /// Share of the hidden layer that is dropped.
    pub dropout: f64,
    /// Seed of first weights and dropout.
    pub seed: u64,
    /// Columns of the evidence that are not looked at, to see what they are worth.
    pub blind: std::ops::Range<usize>,
}

impl Default for RankConfig {
    fn default() -> Self {
        Self {
            hidden: 24,
            steps: 400,
            rate: 0.03,
            weight_decay: 0.02,
            dropout: 0.2,
            seed: 7,
            blind: 0..0,
        }
    }
}

/// Gathers what a head and its memory say about some questions that they were not fitted on.
///
/// - `rows`: rows of `data`
/// - `weight`: how much each counts
pub fn weigh(
    head: &AnswerHead,
    data: &AnswerData,
    rows: &[usize],
    weight: f32,
) -> Result<Vec<Weighed>> {
    let mut out = Vec::with_capacity(rows.len());
    for chunk in rows.chunks(128) {
        let evidence = head.evidence(&data.images_of(chunk)?, &data.questions_of(chunk))?;
        for (row, evidence) in chunk.iter().zip(evidence) {
            let answer = data.rows[*row].answer;
            let right = evidence.candidates.iter().position(|c| Some(*c) == answer);
            out.push(Weighed {
                right: right.unwrap_or(evidence.candidates.len()),
                columns: evidence.columns.to_vec2()?,
                weight,
            });
        }
    }
    Ok(out)
}

/// Fits a ranker; its tensors by name below `ranker`.
///
/// Errors if there is no question, or if the loss stops being finite.
pub fn fit_ranker(
    questions: &[&Weighed],
    how: &RankConfig,
) -> Result<(RankerConfig, BTreeMap<String, Tensor>)> {
    if questions.is_empty() {
        return Err(TrainError::Data(
            "there is no question to rank answers of".into(),
        ));
    }
    let config = RankerConfig { hidden: how.hidden };
    // Questions with few possible answers apart from those with many: little is padding.
    let total: f32 = questions.iter().map(|q| q.weight).sum();
    let (few, many): (Vec<&Weighed>, Vec<&Weighed>) =
        questions.iter().partition(|q| q.columns.len() <= FEW);
    let batches: Vec<Batch> = [few, many]
        .iter()
        .filter(|part| !part.is_empty())
        .map(|part| Batch::of(part, total))
        .collect::<Result<_>>()?;
    let weights = Weights::fresh(how.seed, &Device::Cpu);
    let (mean, mut inverse_std) = spread(questions);
    inverse_std[how.blind.clone()].fill(0.0);
    let view = weights.pp("ranker");
    for (name, values) in [("mean", mean), ("inverse_std", inverse_std)] {
        view.running(EVIDENCE, name, lucency_nn::Init::Zeros)?
            .set(&Tensor::from_vec(values, EVIDENCE, &Device::Cpu)?)?;
    }
    weights.train_where(|key| !key.ends_with(".mean") && !key.ends_with(".inverse_std"))?;
    let ranker = Ranker::load(&view, &config)?;
    let standard: Vec<Tensor> = batches
        .iter()
        .map(|batch| Ok(ranker.standardise(&batch.columns)?.detach()))
        .collect::<Result<_>>()?;
    let vars = weights.vars();
    let mut optimiser = AdamW::new(AdamWConfig {
        weight_decay: how.weight_decay,
        ..AdamWConfig::default()
    });
    let schedule = Schedule {
        peak: how.rate,
        warmup: 10,
        total: how.steps,
        floor: 0.02,
    };
    for step in 0..how.steps {
        let mut rng = rng_for(how.seed, step, 3);
        let mut loss = Tensor::zeros((), DType::F32, &Device::Cpu)?;
        for (batch, standard) in batches.iter().zip(&standard) {
            let keep = batch.dropout(how, &mut rng)?;
            let scores = (ranker.scores(standard, Some(&keep))? + &batch.absent)?; // [n, k]
            let log_p = log_softmax_last(&scores)?;
            loss = (loss - (log_p * &batch.target)?.sum_all()?)?;
        }
        if !loss.to_scalar::<f32>()?.is_finite() {
            return Err(TrainError::Diverged {
                step: step + 1,
                what: "loss",
            });
        }
        optimiser.step(&vars, &loss.backward()?, schedule.rate(step), 1.0)?;
    }
    Ok((config, weights.tensors().into_iter().collect()))
}

/// All questions as tensors.
struct Batch {
    columns: Tensor, // [n, k, EVIDENCE]
    absent: Tensor,  // [n, k]
    target: Tensor,  // [n, k], sums to 1
}

impl Batch {
    /// - `total`: weight of all questions, these and others
    fn of(questions: &[&Weighed], total: f32) -> Result<Self> {
        let n = questions.len();
        let k = questions.iter().map(|q| q.columns.len()).max().unwrap_or(0);
        let mut columns = vec![0f32; n * k * EVIDENCE];
        let mut absent = vec![ABSENT; n * k];
        let mut target = vec![0f32; n * k];
        for (i, question) in questions.iter().enumerate() {
            for (j, row) in question.columns.iter().enumerate() {
                let place = i * k + j;
                columns[place * EVIDENCE..(place + 1) * EVIDENCE].copy_from_slice(row);
                absent[place] = 0.0;
            }
            target[i * k + question.right] = question.weight / total.max(f32::MIN_POSITIVE);
        }
        let device = &Device::Cpu;
        Ok(Self {
            columns: Tensor::from_vec(columns, (n, k, EVIDENCE), device)?,
            absent: Tensor::from_vec(absent, (n, k), device)?,
            target: Tensor::from_vec(target, (n, k), device)?,
        })
    }

    fn dropout(&self, how: &RankConfig, rng: &mut ChaCha8Rng) -> Result<Tensor> {
        // One mask a question: its answers are compared under the same network.
        let (n, k, _) = self.columns.dims3()?;
        let scale = (1.0 / (1.0 - how.dropout)) as f32;
        let mask: Vec<f32> = (0..n * how.hidden)
            .map(|_| match rng.random_bool(how.dropout) {
                true => 0.0,
                false => scale,
            })
            .collect();
        let mask = Tensor::from_vec(mask, (n, 1, how.hidden), &Device::Cpu)?;
        Ok(mask
            .broadcast_as((n, k, how.hidden))?
            .to_dtype(DType::F32)?
            .contiguous()?)
    }
}

/// Mean and inverse standard deviation of every column over all rows.
fn spread(questions: &[&Weighed]) -> (Vec<f32>, Vec<f32>) {
    let rows = || questions.iter().flat_map(|q| q.columns.iter());
    let n = rows().count().max(1) as f64;
    (0..EVIDENCE)
        .map(|c| {
            let mean = rows().map(|r| f64::from(r[c])).sum::<f64>() / n;
            let variance = rows()
                .map(|r| (f64::from(r[c]) - mean).powi(2))
                .sum::<f64>()
                / n;
            (mean as f32, (1.0 / (variance.sqrt() + 1e-3)) as f32)
        })
        .unzip()
}
