//! Training an answer model from question file to run folder.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use candle_core::{Device, Tensor};
use lucency_nn::{Init, Interrupt, Progress, Weights};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::calibrate::{Calibration, calibrate};
use super::dictionary::Dictionary;
use super::examples::Examples;
use super::image_set::ImageSet;
use super::judge::QuestionTypes;
use super::kind::{train_types, types_of};
use super::objective::VqaObjective;
use super::plan::{Conduct, Method, VqaPlan};
use super::records::QaRecord;
use super::splits::{VqaSplit, split};
use super::vocabulary::AnswerVocabulary;
use super::words::{glove_vectors, tfidf_vectors};
use crate::best::{Best, write_whole};
use crate::checkpoint::Checkpoint;
use crate::optim::{Adamax, AdamaxConfig};
use crate::run::{Course, Kept, Outcome, train_with};
use crate::{Result, TrainError};

/// Files of a run's folder.
pub(super) const CONFIG: &str = "config.toml";
pub(super) const DICTIONARY: &str = "dictionary.json";
pub(super) const ANSWERS: &str = "answers.json";
pub(super) const CALIBRATION: &str = "calibration.json";
/// Weights of a run that was exported.
pub(super) const NETWORK: &str = "network.safetensors";
/// Folder of QCR's question-type classifier below the run's.
pub(super) const TYPES: &str = "types";

/// Questions with their images.
pub struct VqaData {
    /// The questions.
    pub records: Vec<QaRecord>,
    /// The images, each once, in the plan's forms.
    pub images: ImageSet,
    /// Each question's place in `images`.
    pub image_of: Vec<usize>,
}

/// What a run starts from beside chance.
#[derive(Default)]
pub struct Starts {
    /// Pre-trained MAML network: `conv1.weight`, ...
    pub maml: Option<HashMap<String, Tensor>>,
    /// Pre-trained autoencoder: `conv1.weight`, ..., `tran_conv2.bias`.
    pub cdae: Option<HashMap<String, Tensor>>,
    /// GloVe text file.
    pub glove: Option<PathBuf>,
}

/// What a run leaves behind.
pub struct VqaOutcome {
    /// Of the training loop.
    pub outcome: Outcome,
    /// Questions learned from and judged by.
    pub split: VqaSplit,
    /// Of the held-out questions, if any.
    pub calibration: Option<Calibration>,
}

/// Trains, or goes on with the run of the folder.
///
/// The folder gets `config.toml`, `dictionary.json`, `answers.json`, `log.jsonl`, `curves.svg`, `checkpoint/`, and with validation
/// `best.safetensors` and `calibration.json`.
///
/// Errors if the plan cannot be carried out, the folder belongs to another plan, or the loss stops being finite.
pub fn train_vqa(
    plan: &VqaPlan,
    data: VqaData,
    starts: &Starts,
    run: &Path,
    stop: &Interrupt,
    report: &mut dyn FnMut(Progress),
) -> Result<VqaOutcome> {
    plan.check()?;
    claim(run, plan)?;
    let split = match &plan.validation {
        Some(how) => split(&data.records, how),
        None => VqaSplit {
            train: (0..data.records.len()).collect(),
            ..VqaSplit::default()
        },
    };
    if split.train.is_empty() {
        return Err(TrainError::Plan(
            "the validation split leaves nothing to learn from".into(),
        ));
    }
    let learned: Vec<QaRecord> = split
        .train
        .iter()
        .map(|i| data.records[*i].clone())
        .collect();
    let asked = || learned.iter().map(|r| r.question.as_str());
    let dictionary = Dictionary::of(asked(), plan.unknown());
    let vocabulary = AnswerVocabulary::of(&learned, plan.answer_form(), plan.layout(), 0);
    write_json(&run.join(DICTIONARY), &dictionary)?;
    write_json(&run.join(ANSWERS), &vocabulary)?;

    let examples = Examples::of(
        &data.records,
        &data.image_of,
        data.images,
        &dictionary,
        &vocabulary,
        plan,
        &split.train,
    );
    let types = match plan.method {
        Method::Mevf => QuestionTypes::default(),
        Method::Qcr => {
            let folder = run.join(TYPES);
            train_types(plan, &examples, &split, &dictionary, &folder, stop, report)?;
            types_of(plan, &dictionary, &folder, &examples)?
        }
    };
    let weights = match Checkpoint::find(run)? {
        Some(checkpoint) => Weights::open(&checkpoint.weights(), &Device::Cpu)?,
        None => first_weights(plan, starts, &dictionary, asked)?,
    };
    make_trainable(&weights, plan)?;
    let sizes = (
        dictionary.words().len(),
        vocabulary.len(),
        vocabulary.closed,
    );
    let rows = (split.train.clone(), split.held_out.clone());
    let mut objective = VqaObjective::new(plan, &weights, &examples, rows, sizes, &types)?;
    let per_epoch = objective.per_epoch();
    let total = per_epoch * plan.epochs;
    let judged = !split.held_out.is_empty();
    let course = Course {
        seed: plan.seed,
        total,
        rate: &|step| plan.rate.at(step, per_epoch, total),
        clip_norm: plan.clip_norm,
        ema_decay: plan.ema_decay,
        checkpoint_every: per_epoch,
        evaluate_every: per_epoch,
        log_every: per_epoch.div_ceil(8),
        select: judged.then_some("overall"),
        patience: 0,
        kept: Kept::Everything,
    };
    let mut optimiser = Adamax::new(AdamaxConfig::default());
    let outcome = train_with(
        &course,
        &mut optimiser,
        &weights,
        &mut objective,
        run,
        stop,
        report,
    )?;
    let calibration = match judged {
        true => {
            let tensors = candle_core::safetensors::load(chosen_weights(run, plan)?, &Device::Cpu)?;
            let calibration = calibrate(&objective.judge_with(&tensors)?)?;
            write_json(&run.join(CALIBRATION), &calibration)?;
            Some(calibration)
        }
        false => None,
    };
    Ok(VqaOutcome {
        outcome,
        split,
        calibration,
    })
}

/// The weights that a run is used with: those that were exported, else the best on validation, the last as published or without validation.
pub(super) fn chosen_weights(run: &Path, plan: &VqaPlan) -> Result<PathBuf> {
    let exported = run.join(NETWORK);
    if exported.is_file() {
        return Ok(exported);
    }
    if plan.conduct == Conduct::Right
        && let Some(best) = Best::weights(run)
    {
        return Ok(best);
    }
    Checkpoint::find(run)?
        .map(|c| c.averaged())
        .ok_or_else(|| TrainError::Checkpoint {
            path: run.to_path_buf(),
            reason: "holds no checkpoint; train it first".into(),
        })
}

/// Makes the folder and writes the plan, or checks that the plan is the folder's.
fn claim(run: &Path, plan: &VqaPlan) -> Result<()> {
    std::fs::create_dir_all(run).map_err(|e| TrainError::io(run, e))?;
    let path = run.join(CONFIG);
    if path.is_file() && VqaPlan::load(&path)? != *plan {
        return Err(TrainError::Plan(format!(
            "{} holds a run with other settings; give another --out, or the settings of its config.toml",
            run.display()
        )));
    }
    plan.save(&path)
}

/// Chance, with pre-trained networks and word vectors laid over it.
fn first_weights<'a, I: Iterator<Item = &'a str>>(
    plan: &VqaPlan,
    starts: &Starts,
    dictionary: &Dictionary,
    asked: impl Fn() -> I,
) -> Result<Weights> {
    let weights = Weights::fresh(plan.seed, &Device::Cpu);
    let (maml, ae) = plan.visual_prefixes();
    for (prefix, tensors, wanted) in [
        (maml, &starts.maml, plan.maml),
        (ae, &starts.cdae, plan.ae_side.is_some()),
    ] {
        if let (Some(tensors), true) = (tensors, wanted) {
            weights.pp(prefix).overlay(tensors.clone())?;
        }
    }
    let (words, dim) = (dictionary.words().len(), plan.word_dim);
    let mut vectors: Vec<Vec<f32>> = match &starts.glove {
        Some(path) => {
            let (vectors, found) = glove_vectors(path, dictionary, dim)?;
            if found == 0 {
                return Err(TrainError::Data(format!(
                    "{} holds none of the questions' words; is it a GloVe text file in their language?",
                    path.display()
                )));
            }
            vectors
        }
        None => Weights::fresh(plan.seed, &Device::Cpu)
            .get((words + 1, dim), "w_emb.emb.weight", Init::Table)?
            .narrow(0, 0, words)?
            .to_vec2()?,
    };
    let mut tables = vec![("w_emb.emb.weight", vectors.clone())];
    if plan.method == Method::Qcr {
        tables.push(("typeatt.w_emb.emb.weight", vectors.clone()));
    }
    if plan.concatenated {
        let mixed = tfidf_vectors(asked(), dictionary, &vectors, plan.tfidf());
        tables.push(("w_emb.emb_.weight", mixed));
    }
    vectors.clear();
    for (key, rows) in tables {
        let padding = std::iter::repeat_n(0f32, dim);
        let flat: Vec<f32> = rows.into_iter().flatten().chain(padding).collect();
        let table = Tensor::from_vec(flat, (words + 1, dim), &Device::Cpu)?;
        weights.overlay([(key.to_string(), table)])?;
    }
    Ok(weights)
}

/// Everything learns but frozen image networks.
fn make_trainable(weights: &Weights, plan: &VqaPlan) -> Result<()> {
    let (maml, ae) = plan.visual_prefixes();
    let frozen = plan.freeze_visual;
    let below = move |key: &str, prefix: &str| {
        key.strip_prefix(prefix)
            .is_some_and(|rest| rest.starts_with('.'))
    };
    Ok(weights.train_where(move |key| !(frozen && (below(key, maml) || below(key, ae))))?)
}

pub(super) fn write_json<T: Serialize>(path: &Path, value: &T) -> Result<()> {
    let text = serde_json::to_string_pretty(value).map_err(|e| TrainError::json(path, e))?;
    write_whole(path, text.as_bytes())
}

pub(super) fn read_json<T: DeserializeOwned>(path: &Path) -> Result<T> {
    let text = std::fs::read_to_string(path).map_err(|e| TrainError::io(path, e))?;
    serde_json::from_str(&text).map_err(|e| TrainError::json(path, e))
}
