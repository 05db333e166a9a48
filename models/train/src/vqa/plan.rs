//! The numbers of a run, and the published and tuned presets.

use std::path::Path;

use lucency_zoo::vqa::{Fusion, MevfConfig, QcrConfig, QuestionConfig, Rnn, VisualConfig};
use serde::{Deserialize, Serialize};

use super::splits::Validation;
use super::text::AnswerForm;
use super::vocabulary::Layout;
use super::{TfIdf, Unknown};
use crate::data::Augment;
use crate::optim::Rate;
use crate::{Result, TrainError};

/// Which system is trained.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Method {
    /// Nguyen et al. 2019.
    Mevf,
    /// Zhan et al. 2020.
    Qcr,
}

/// A set of published or tuned numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Preset {
    /// 20 epochs of 32, ramp and steps of the learning rate, two glimpses, LSTM.
    Mevf,
    /// 200 epochs of 16 at 0.001, ten glimpses, GRU.
    Qcr,
    /// The best on our validation split.
    Tuned,
}

/// Whether the published code's oddities are repeated; see `docs/vqa.md`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Conduct {
    /// As it should be.
    Right,
    /// As published, oddities included.
    AsPublished,
}

/// The numbers of a run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct VqaPlan {
    /// MEVF or QCR.
    pub method: Method,
    /// Right or as published.
    pub conduct: Conduct,
    /// Bilinear or stacked attention (MEVF).
    pub fusion: Fusion,
    /// LSTM or GRU.
    pub rnn: Rnn,
    /// Attention maps of BAN, steps of SAN.
    pub glimpses: usize,
    /// Width of question states and joint features.
    pub hidden: usize,
    /// Tokens of a question.
    pub question_length: usize,
    /// Width of one word vector.
    pub word_dim: usize,
    /// Second, tf-idf weighted table beside the first.
    pub concatenated: bool,
    /// Padding takes no part in the attention.
    pub mask_padding: bool,
    /// Share of the classifier's input that is dropped.
    pub dropout: f64,
    /// MAML network on 84×84.
    pub maml: bool,
    /// Autoencoder, with its input's side.
    pub ae_side: Option<usize>,
    /// Width of given CLIP features.
    pub clip_dim: Option<usize>,
    /// The image networks keep their first weights; their outputs are computed once an image.
    pub freeze_visual: bool,
    /// Seed of weights, order, dropout and augmentation.
    pub seed: u64,
    /// Passes over the questions.
    pub epochs: u64,
    /// Questions a step.
    pub batch: usize,
    /// Learning rate.
    pub rate: Rate,
    /// Largest global gradient norm.
    pub clip_norm: f64,
    /// Decay of the averaged weights; 0 for none.
    pub ema_decay: f64,
    /// Share of an answer's score spread over all answers.
    pub label_smoothing: f64,
    /// Probability that a word which occurs once in training is shown as unknown.
    pub word_dropout: f64,
    /// Random views of the images; none in the published code.
    pub augment: Option<Augment>,
    /// Probability of a mirrored image with left and right swapped in question and answer.
    pub mirror: f64,
    /// A question's form rules answers out: yes or no for a yes-or-no question, neither for any other (MEVF; QCR has its classifier).
    #[serde(default)]
    pub gate: bool,
    /// Views of an image whose features are averaged when a question is asked, the image itself among them; 0 and 1 for none.
    #[serde(default)]
    pub asked_views: u64,
    /// Passes of QCR's question-type classifier.
    pub type_epochs: u64,
    /// What is kept apart; none trains on everything.
    pub validation: Option<Validation>,
}

impl VqaPlan {
    /// A preset with MAML and autoencoder.
    pub fn preset(preset: Preset, method: Method) -> Self {
        let published = Self {
            method,
            conduct: Conduct::Right,
            fusion: Fusion::Ban,
            rnn: Rnn::Lstm,
            glimpses: 2,
            hidden: 1024,
            question_length: 12,
            word_dim: 300,
            concatenated: true,
            mask_padding: false,
            dropout: 0.5,
            maml: true,
            ae_side: Some(128),
            clip_dim: None,
            freeze_visual: false,
            seed: 1204,
            epochs: 20,
            batch: 32,
            rate: Rate::mevf(0.005),
            clip_norm: 0.25,
            ema_decay: 0.0,
            label_smoothing: 0.0,
            word_dropout: 0.0,
            augment: None,
            mirror: 0.0,
            gate: false,
            asked_views: 0,
            type_epochs: 20,
            validation: None,
        };
        match preset {
            Preset::Mevf => published,
            Preset::Qcr => Self {
                rnn: Rnn::Gru,
                glimpses: 10,
                seed: 88,
                epochs: 200,
                batch: 16,
                rate: Rate::Constant { rate: 1e-3 },
                ..published
            },
            Preset::Tuned => Self {
                rnn: Rnn::Gru,
                mask_padding: true,
                epochs: 40,
                rate: Rate::Cosine {
                    peak: 2e-3,
                    warmup_epochs: 1.0,
                    floor: 0.02,
                },
                ema_decay: 0.995,
                label_smoothing: 0.05,
                word_dropout: 0.3,
                ..published
            },
        }
    }

    /// What the published code does about unknown words.
    pub fn unknown(&self) -> Unknown {
        match self.conduct {
            Conduct::Right => Unknown::OwnWord,
            Conduct::AsPublished => Unknown::LastWord,
        }
    }

    /// How the tf-idf weights are computed.
    pub fn tfidf(&self) -> TfIdf {
        match self.conduct {
            Conduct::Right => TfIdf::Right,
            Conduct::AsPublished => TfIdf::Published,
        }
    }

    /// How answers become classes.
    pub fn answer_form(&self) -> AnswerForm {
        match (self.conduct, self.method) {
            (Conduct::Right, _) => AnswerForm::Evaluation,
            (Conduct::AsPublished, Method::Mevf) => AnswerForm::PublishedMevf,
            (Conduct::AsPublished, Method::Qcr) => AnswerForm::PublishedQcr,
        }
    }

    /// How answers lie in the logits.
    pub fn layout(&self) -> Layout {
        match self.method {
            Method::Mevf => Layout::Together,
            Method::Qcr => Layout::ByType,
        }
    }

    /// The image part.
    pub fn visual(&self) -> VisualConfig {
        VisualConfig {
            maml: self.maml,
            ae_side: self.ae_side,
            clip_dim: self.clip_dim,
        }
    }

    /// The question part.
    pub fn question(&self, words: usize) -> QuestionConfig {
        QuestionConfig {
            words,
            length: self.question_length,
            word_dim: self.word_dim,
            concatenated: self.concatenated,
            rnn: self.rnn,
            hidden: self.hidden,
        }
    }

    /// The MEVF network.
    pub fn mevf(&self, words: usize, answers: usize) -> MevfConfig {
        MevfConfig {
            question: self.question(words),
            visual: self.visual(),
            fusion: self.fusion,
            glimpses: self.glimpses,
            hidden: self.hidden,
            answers,
            mask_padding: self.mask_padding,
            dropout: self.dropout,
        }
    }

    /// The QCR network.
    pub fn qcr(&self, words: usize, closed: usize, open: usize) -> QcrConfig {
        QcrConfig {
            question: self.question(words),
            visual: self.visual(),
            glimpses: self.glimpses,
            closed_answers: closed,
            open_answers: open,
            mask_padding: self.mask_padding,
            dropout: self.dropout,
        }
    }

    /// Whether training sees other views of an image than the image itself.
    pub fn moves_images(&self) -> bool {
        self.augment.is_some() || self.mirror > 0.0
    }

    /// Whether other views of an image are ever wanted.
    pub fn wants_views(&self) -> bool {
        self.moves_images() || self.asked_views > 1
    }

    /// The keys below which the published checkpoints keep the image networks.
    pub fn visual_prefixes(&self) -> (&'static str, &'static str) {
        match self.method {
            Method::Mevf => ("maml_v_emb", "ae_v_emb"),
            Method::Qcr => ("maml", "ae"),
        }
    }

    /// Refuses numbers that cannot work together.
    ///
    /// Errors with [`TrainError::Plan`].
    pub fn check(&self) -> Result<()> {
        let refuse = |why: String| Err(TrainError::Plan(why));
        let share = |name: &str, v: f64| match (0.0..1.0).contains(&v) {
            true => Ok(()),
            false => Err(TrainError::Plan(format!(
                "{name} is at least 0 and below 1, not {v}"
            ))),
        };
        if !self.maml && self.ae_side.is_none() && self.clip_dim.is_none() {
            return refuse("no image network is chosen: name maml, ae or clip".into());
        }
        if self.method == Method::Qcr && self.fusion != Fusion::Ban {
            return refuse("QCR has bilinear attention only".into());
        }
        let counts = [
            self.epochs,
            self.batch as u64,
            self.hidden as u64,
            self.glimpses as u64,
        ];
        if counts.contains(&0) || self.question_length == 0 || self.word_dim == 0 {
            return refuse(
                "epochs, batch, hidden, glimpses, question length and word width are at least 1"
                    .into(),
            );
        }
        if self.mirror > 0.0 && self.clip_dim.is_some() {
            return refuse("CLIP features are of the image as it is stored, not of its mirror image: leave out mirror or clip".into());
        }
        if self.asked_views > 1 && !self.maml && self.ae_side.is_none() {
            return refuse("CLIP features are of the image as it is stored: views to average over want maml or ae".into());
        }
        if self.gate && self.method == Method::Qcr {
            return refuse(
                "QCR tells closed from open questions by its classifier: the gate is for MEVF"
                    .into(),
            );
        }
        share("dropout", self.dropout)?;
        share("label smoothing", self.label_smoothing)?;
        share("word dropout", self.word_dropout)?;
        share("the probability of a mirrored image", self.mirror)?;
        share("the averaged weights' decay", self.ema_decay)?;
        if let Some(v) = &self.validation {
            share("the validation share", v.share)?;
        }
        Ok(())
    }

    /// Writes the plan as TOML.
    pub fn save(&self, path: &Path) -> Result<()> {
        let text = toml::to_string_pretty(self)
            .map_err(|e| TrainError::Plan(format!("cannot be written as TOML: {e}")))?;
        crate::best::write_whole(path, text.as_bytes())
    }

    /// Reads a plan back.
    ///
    /// Errors if the file is missing, is not such TOML, or does not [`check`](Self::check).
    pub fn load(path: &Path) -> Result<Self> {
        let text = std::fs::read_to_string(path).map_err(|e| TrainError::io(path, e))?;
        let plan: Self = toml::from_str(&text)
            .map_err(|e| TrainError::Plan(format!("{}: {}", path.display(), e.message())))?;
        plan.check()?;
        Ok(plan)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plan_survives_its_file_and_impossible_ones_are_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("config.toml");
        for preset in [Preset::Mevf, Preset::Qcr, Preset::Tuned] {
            let mut plan = VqaPlan::preset(preset, Method::Mevf);
            plan.validation = Some(Validation {
                share: 0.1,
                kind: crate::vqa::SplitKind::Images,
                seed: 3,
            });
            plan.save(&path).unwrap();
            assert_eq!(VqaPlan::load(&path).unwrap(), plan);
        }
        let mut plan = VqaPlan::preset(Preset::Mevf, Method::Qcr);
        plan.fusion = Fusion::San;
        assert!(plan.check().is_err());
        plan = VqaPlan::preset(Preset::Mevf, Method::Mevf);
        (plan.maml, plan.ae_side) = (false, None);
        assert!(plan.check().unwrap_err().to_string().contains("maml"));
    }
}
