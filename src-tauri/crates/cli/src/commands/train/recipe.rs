//! How a head with its memory is made from questions.

use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;

use anyhow::Result;
use candle_core::{DType, Device, Tensor};
use lucency_nn::{Interrupt, Weights, save_tensors};
use lucency_train::answers::{
    AnswerData, FitConfig, Lessons, RememberConfig, Remembered, ensemble, fit, fresh_head_weights,
    remember,
};
use lucency_train::split::group_of;
use lucency_zoo::vqa::{AnswerHead, AnswerHeadConfig, RankerConfig};

use super::questions::Questions;

/// Share of a student's loss that follows its teacher, and the temperature at which they are compared.
const DISTIL: f64 = 0.7;
const HEAT: f64 = 2.0;

/// A fitted ranker.
pub type RankerTensors = (RankerConfig, BTreeMap<String, Tensor>);

/// A head with its memory as tensors, and its shape.
#[derive(Clone)]
pub struct Learned {
    /// By name.
    pub tensors: HashMap<String, Tensor>,
    /// The shape.
    pub config: AnswerHeadConfig,
}

impl Learned {
    /// The head, with a ranker if one is given.
    pub fn head(&self, ranker: Option<&RankerTensors>) -> Result<AnswerHead> {
        let (mut tensors, mut config) = (self.tensors.clone(), self.config.clone());
        if let Some((shape, weights)) = ranker {
            tensors.extend(weights.clone());
            config.ranker = Some(shape.clone());
        }
        Ok(AnswerHead::load(
            &Weights::from_tensors(tensors, "the answer head"),
            &config,
        )?)
    }

    /// The head without its memory.
    pub fn head_alone(&self) -> Result<AnswerHead> {
        let config = AnswerHeadConfig {
            memory: None,
            ..self.config.clone()
        };
        Ok(AnswerHead::load(
            &Weights::from_tensors(self.tensors.clone(), "the answer head"),
            &config,
        )?)
    }
}

/// What becomes of heads that were fitted with several seeds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pool {
    /// There is one.
    Single,
    /// The mean of so many.
    Ensemble(u64),
    /// A single one that learned from the mean of so many.
    Distilled(u64),
}

/// How heads are fitted.
#[derive(Clone)]
pub struct Recipe<'a> {
    /// Questions with cached features.
    pub questions: &'a Questions,
    /// The head's numbers.
    pub how: FitConfig,
    /// Whether the question's form rules answers out.
    pub gated: bool,
    /// One head or several.
    pub pool: Pool,
    /// Whether images are seen as the mean of small views when a question is asked and remembered.
    pub averaged: bool,
    /// Stops it.
    pub stop: &'a Interrupt,
    /// Fitted heads are kept below this folder, so that a run that was stopped goes on from them.
    pub kept: PathBuf,
}

impl Recipe<'_> {
    /// The features by which questions are asked and remembered.
    pub fn shown(&self) -> &AnswerData {
        match (&self.questions.averaged, self.averaged) {
            (Some(averaged), true) => averaged,
            _ => &self.questions.data,
        }
    }

    /// Fits head and memory on some questions of VQA-RAD; the head on all easy ones too.
    ///
    /// - `name`: the head is kept under it, and taken from there if it was fitted before with the same numbers
    /// - `vqa`: rows of the questions
    pub fn learn(&self, name: &str, vqa: &[usize]) -> Result<Learned> {
        let (mut tensors, mut config) = self.head(name, vqa)?;
        let (memory, remembered) = self.memory(vqa, &config)?;
        tensors.extend(remembered);
        config.memory = Some(memory);
        Ok(Learned { tensors, config })
    }

    /// The same beside a memory that was fitted on the same questions by a recipe that sees images in the same way.
    pub fn learn_beside(&self, name: &str, vqa: &[usize], other: &Learned) -> Result<Learned> {
        let (mut tensors, mut config) = self.head(name, vqa)?;
        let remembered = other
            .tensors
            .iter()
            .filter(|(k, _)| k.starts_with("memory."));
        tensors.extend(remembered.map(|(k, v)| (k.clone(), v.clone())));
        config.memory.clone_from(&other.config.memory);
        Ok(Learned { tensors, config })
    }

    fn memory(&self, vqa: &[usize], config: &AnswerHeadConfig) -> Result<Remembered> {
        Ok(remember(
            self.shown(),
            vqa,
            &self.questions.easy,
            config.answers.len(),
            &RememberConfig::default(),
        )?)
    }

    fn head(
        &self,
        name: &str,
        vqa: &[usize],
    ) -> Result<(HashMap<String, Tensor>, AnswerHeadConfig)> {
        let config = AnswerHeadConfig {
            gated: self.gated,
            ..self.questions.config.clone()
        };
        let pooled = |n: u64| -> Result<_> {
            let members = (0..n)
                .map(|k| {
                    let how = FitConfig {
                        seed: self.how.seed + k,
                        ..self.how.clone()
                    };
                    self.fit_once(name, vqa, &config, &how, None)
                })
                .collect::<Result<Vec<_>>>()?;
            Ok(ensemble(&members, &config)?)
        };
        match self.pool {
            Pool::Single => Ok((
                self.fit_once(name, vqa, &config, &self.how, None)?,
                config.clone(),
            )),
            Pool::Ensemble(n) => pooled(n),
            Pool::Distilled(n) => {
                let (tensors, wide) = pooled(n)?;
                let teacher =
                    AnswerHead::load(&Weights::from_tensors(tensors, "the teacher"), &wide)?;
                let how = FitConfig {
                    distil: DISTIL,
                    heat: HEAT,
                    ..self.how.clone()
                };
                let name = format!("{name}-of-{n}");
                let student = self.fit_once(&name, vqa, &config, &how, Some(&teacher))?;
                Ok((student, config.clone()))
            }
        }
    }

    fn fit_once(
        &self,
        name: &str,
        vqa: &[usize],
        config: &AnswerHeadConfig,
        how: &FitConfig,
        teacher: Option<&AnswerHead>,
    ) -> Result<HashMap<String, Tensor>> {
        let questions = self.questions;
        let numbers = format!("{how:?} {config:?} {vqa:?}");
        let file = format!("{name}-{:016x}.safetensors", group_of(&numbers));
        let file = self.kept.join(file);
        if file.is_file() {
            let weights = Weights::open(&file, &Device::Cpu)?;
            return Ok(weights.tensors().into_iter().collect());
        }
        let weights = fresh_head_weights(&questions.data.features[..questions.stored], how.seed)?;
        let rows: Vec<usize> = vqa.iter().chain(&questions.easy).copied().collect();
        let lessons = Lessons {
            data: &questions.data,
            rows: &rows,
            teacher,
        };
        let tensors = fit(&weights, config, &lessons, how, self.stop, &mut |_| {})?;
        std::fs::create_dir_all(&self.kept)?;
        let sorted: BTreeMap<String, Tensor> = tensors.clone().into_iter().collect();
        save_tensors(&sorted, &file, DType::F32)?;
        Ok(tensors)
    }
}
