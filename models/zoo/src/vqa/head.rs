//! The answer head.

use candle_core::{Device, Tensor};
use lucency_nn::ops::{l2_normalise, log_softmax_last, tanh};
use lucency_nn::{Bias, Embedding, Init, Linear, Weights};

use super::evidence::{AnswerTexts, Evidence, Said, gather};
use super::question::words;
use super::{AnswerHeadConfig, Memory, Question, QuestionForm, Ranker};
use crate::{Result, ZooError};

/// What rules an answer out: far below any logit, but finite.
const RULED_OUT: f32 = -1e4;

/// An answer with its score.
#[derive(Clone, Debug, PartialEq)]
pub struct RankedAnswer {
    /// The answer, normalised.
    pub answer: String,
    /// How probable it is, calibrated. With a ranker the probabilities of all answers may sum to less than 1.
    pub probability: f64,
}

/// Answers questions from pooled image features and question features.
pub struct AnswerHead {
    config: AnswerHeadConfig,
    mean: Tensor,
    inverse_std: Tensor,
    grams: Embedding,
    text: Linear,
    image: Linear,
    fuse_question: Linear,
    from_fused: Linear,
    from_question: Linear,
    from_image: Linear,
    overlap: Linear,
    yes_no: Vec<usize>,
    answer_words: Vec<Vec<String>>,
    memory: Option<Remembering>,
    ranker: Option<Ranker>,
}

/// A memory with the texts of the answers.
struct Remembering {
    memory: Memory,
    texts: AnswerTexts,
}

impl AnswerHead {
    /// Loads a head. Errors name the tensor that is missing or misshapen.
    pub fn load(weights: &Weights, config: &AnswerHeadConfig) -> Result<Self> {
        let (f, h, a) = (config.image_features, config.hidden, config.answers.len());
        let linear = |name: &str, inputs, outputs, bias| {
            Linear::load(&weights.pp(name), inputs, outputs, bias)
        };
        let table = weights.pp("grams").get(
            (config.buckets + 1, h),
            "weight",
            Init::Normal {
                mean: 0.0,
                std: 0.02,
            },
        )?;
        Ok(Self {
            mean: weights.pp("features").get(f, "mean", Init::Zeros)?,
            inverse_std: weights.pp("features").get(f, "inverse_std", Init::Ones)?,
            grams: Embedding::from_tensor(table),
            text: linear("text", config.embed_dim, h, Bias::Yes)?,
            image: linear("image", f, h, Bias::Yes)?,
            fuse_question: linear("fuse_question", h, h, Bias::Yes)?,
            from_fused: linear("from_fused", h, a, Bias::No)?,
            from_question: linear("from_question", h, a, Bias::Yes)?,
            from_image: linear("from_image", h, a, Bias::No)?,
            overlap: linear("overlap", h, 1, Bias::Yes)?,
            yes_no: (0..a)
                .filter(|i| matches!(config.answers[*i].as_str(), "yes" | "no"))
                .collect(),
            answer_words: config
                .answers
                .iter()
                .map(|answer| words(answer).map(str::to_string).collect())
                .collect(),
            memory: match &config.memory {
                Some(memory) => {
                    let memory = Memory::load(&weights.pp("memory"), memory, f, a)?;
                    let texts = AnswerTexts::new(&memory, &config.answers);
                    Some(Remembering { memory, texts })
                }
                None => None,
            },
            ranker: match (&config.ranker, &config.memory) {
                (Some(ranker), Some(_)) => Some(Ranker::load(&weights.pp("ranker"), ranker)?),
                (Some(_), None) => {
                    return Err(ZooError::Config("a ranker needs a memory".to_string()));
                }
                (None, _) => None,
            },
            config: config.clone(),
        })
    }

    /// The shape and the answers.
    pub fn config(&self) -> &AnswerHeadConfig {
        &self.config
    }

    /// Standardised image features.
    ///
    /// - `features`: `[b, f]`; returns `[b, f]`
    pub fn standardise(&self, features: &Tensor) -> Result<Tensor> {
        Ok(features
            .broadcast_sub(&self.mean)?
            .broadcast_mul(&self.inverse_std)?
            .clamp(-6f32, 6f32)?)
    }

    /// Log-probabilities from standardised features.
    ///
    /// - `standard`: `[b, f]` from [`AnswerHead::standardise`]
    /// - `keep`: a dropout mask for the question and the fused vector, `[b, hidden]` each, or none
    /// - returns `[b, answers]`
    pub fn log_probabilities(
        &self,
        standard: &Tensor,
        questions: &[&Question],
        keep: Option<(&Tensor, &Tensor)>,
    ) -> Result<Tensor> {
        let b = questions.len();
        let longest = questions
            .iter()
            .map(|q| q.grams.len())
            .max()
            .unwrap_or(1)
            .max(1);
        let mut ids = Vec::with_capacity(b * longest);
        let mut counts = Vec::with_capacity(b * longest);
        let mut embedded: Vec<f32> = Vec::with_capacity(b * self.config.embed_dim);
        for question in questions {
            let n = question.grams.len();
            let weight = 1.0 / (n.max(1) as f32).sqrt();
            ids.extend(&question.grams);
            ids.extend(std::iter::repeat_n(self.config.buckets as u32, longest - n));
            counts.extend(std::iter::repeat_n(weight, n));
            counts.extend(std::iter::repeat_n(0.0, longest - n));
            embedded.extend(&question.embedding);
        }
        let device = Device::Cpu;
        let ids = Tensor::from_vec(ids, (b, longest), &device)?;
        let counts = Tensor::from_vec(counts, (b, longest, 1), &device)?;
        let embedded = l2_normalise(&Tensor::from_vec(
            embedded,
            (b, self.config.embed_dim),
            &device,
        )?)?;
        let bag = self.grams.forward(&ids)?.broadcast_mul(&counts)?.sum(1)?; // [b, h]
        let mut q = (bag + self.text.forward(&embedded)?)?; // [b, h]
        if let Some((keep, _)) = keep {
            q = (q * keep)?;
        }
        let v = tanh(&self.image.forward(standard)?)?; // [b, h]
        let mut fused = (&v * tanh(&self.fuse_question.forward(&q)?)?)?; // [b, h]
        if let Some((_, keep)) = keep {
            fused = (fused * keep)?;
        }
        let logits = (self.from_question.forward(&q)? + self.from_fused.forward(&fused)?)?;
        let logits = (logits + self.from_image.forward(&v)?)?; // [b, a]
        let named = self.named(questions)?; // [b, a]
        let logits = (logits + named.broadcast_mul(&self.overlap.forward(&q)?)?)?;
        let logits = (logits + self.ruled_out(questions)?)?;
        Ok(log_softmax_last(&logits)?)
    }

    /// Log-probabilities of all answers.
    ///
    /// - `features`: `[b, f]` from [`super::image_features`]
    /// - returns `[b, answers]`. With a ranker they are calibrated, those of answers that do not come into question are far below any
    ///   other, and what is missing from a sum of 1 is the probability that none of the answers is right.
    pub fn forward(&self, features: &Tensor, questions: &[&Question]) -> Result<Tensor> {
        if let Some(ranker) = &self.ranker {
            let rows: Vec<Tensor> = self
                .evidence(features, questions)?
                .iter()
                .map(|evidence| self.ranked(ranker, evidence))
                .collect::<Result<_>>()?;
            return Ok(Tensor::stack(&rows, 0)?);
        }
        let head = self.log_probabilities(&self.standardise(features)?, questions, None)?;
        let Some(Remembering { memory, .. }) = &self.memory else {
            return Ok(head);
        };
        let head = (head * memory.config().trust)?;
        Ok(log_softmax_last(
            &(head + memory.logits(features, questions)?)?,
        )?)
    }

    /// What speaks for each possible answer, one [`Evidence`] a question.
    ///
    /// - `features`: `[b, f]` from [`super::image_features`]
    ///
    /// Errors without a memory.
    pub fn evidence(&self, features: &Tensor, questions: &[&Question]) -> Result<Vec<Evidence>> {
        let Some(Remembering { memory, texts }) = &self.memory else {
            return Err(ZooError::Config("this head has no memory".to_string()));
        };
        let head = self.log_probabilities(&self.standardise(features)?, questions, None)?;
        let recalled = memory.recall(features, questions)?;
        let named: Vec<Vec<f32>> = self.named(questions)?.to_vec2()?;
        let of = |row: usize| {
            let said = Said {
                head: &head.get(row)?,
                recalled: &recalled,
                row,
            };
            gather(memory, texts, questions[row], &named[row], &said)
        };
        (0..questions.len()).map(of).collect()
    }

    /// Log-probabilities of all answers from the candidates' evidence, `[answers]`.
    fn ranked(&self, ranker: &Ranker, evidence: &Evidence) -> Result<Tensor> {
        let n = evidence.candidates.len();
        let own = ranker.log_probabilities(evidence)?.narrow(0, 0, n)?;
        let places: Vec<u32> = evidence.candidates.iter().map(|c| *c as u32).collect();
        let places = Tensor::new(places, own.device())?;
        let outside = Tensor::full(RULED_OUT, self.answers(), own.device())?;
        Ok(outside.index_add(&places, &(own - f64::from(RULED_OUT))?, 0)?)
    }

    /// Whether [`AnswerHead::forward`] gives calibrated probabilities, so that no temperature applies.
    pub fn is_calibrated(&self) -> bool {
        self.ranker.is_some()
    }

    /// All answers to one question, best first.
    ///
    /// - `features`: `[1, f]` from [`super::image_features`]
    /// - `temperature`: divides the log-probabilities of a head that is not calibrated by itself
    pub fn answer(
        &self,
        features: &Tensor,
        question: &Question,
        temperature: f64,
    ) -> Result<Vec<RankedAnswer>> {
        let mut logits = self.forward(features, &[question])?;
        if !self.is_calibrated() {
            logits = log_softmax_last(&(logits / temperature)?)?;
        }
        let logits: Vec<f32> = logits.squeeze(0)?.to_vec1()?;
        let mut ranked: Vec<RankedAnswer> = self
            .config
            .answers
            .iter()
            .zip(logits)
            .map(|(answer, logit)| RankedAnswer {
                answer: answer.clone(),
                probability: f64::from(logit).exp(),
            })
            .collect();
        ranked.sort_by(|a, b| b.probability.total_cmp(&a.probability));
        Ok(ranked)
    }

    /// 1 where all words of an answer stand in the question, as in "CT or MRI?".
    fn named(&self, questions: &[&Question]) -> Result<Tensor> {
        let a = self.config.answers.len();
        let mut out = vec![0f32; questions.len() * a];
        for (i, question) in questions.iter().enumerate() {
            let lower = question.text.to_lowercase();
            let asked: Vec<&str> = words(&lower).collect();
            for (j, answer) in self.answer_words.iter().enumerate() {
                if !answer.is_empty() && answer.iter().all(|w| asked.contains(&w.as_str())) {
                    out[i * a + j] = 1.0;
                }
            }
        }
        Ok(Tensor::from_vec(out, (questions.len(), a), &Device::Cpu)?)
    }

    /// A large negative number for every answer that the question's form rules out: all but yes and no for a yes-or-no question,
    /// yes and no for any other. Nothing is ruled out by a head that is not gated.
    fn ruled_out(&self, questions: &[&Question]) -> Result<Tensor> {
        let a = self.config.answers.len();
        let mut out = vec![0f32; questions.len() * a];
        for (i, question) in questions.iter().enumerate() {
            if !self.config.gated || self.yes_no.len() != 2 {
                continue;
            }
            let row = &mut out[i * a..(i + 1) * a];
            let yes_no = question.form == QuestionForm::YesNo;
            row.fill(if yes_no { RULED_OUT } else { 0.0 });
            let other = if yes_no { 0.0 } else { RULED_OUT };
            self.yes_no.iter().for_each(|j| row[*j] = other);
        }
        Ok(Tensor::from_vec(out, (questions.len(), a), &Device::Cpu)?)
    }

    /// The image features that stand for no image in particular, `[f]`.
    pub fn mean_features(&self) -> &Tensor {
        &self.mean
    }

    /// The number of answers.
    pub fn answers(&self) -> usize {
        self.config.answers.len()
    }
}
