//! Questions for the answer head: VQA-RAD, phantoms and MedNIST, with the towers' cached features.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::Result;
use lucency_phantom::{AnswerType as PhantomType, QaPair, Spec, View};
use lucency_train::answers::{AnswerData, Row};
use lucency_train::metrics::vqa::{AnswerType, normalise_answer};
use lucency_zoo::clip::Clip;
use lucency_zoo::preprocess::Image8;
use lucency_zoo::vqa::{AnswerHeadConfig, Question, QuestionForm, feature_count};
use rand::seq::SliceRandom;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::mednist::MedNistImage;
use super::phantoms::PhantomImage;
use super::prompts::{MEDNIST, REGIONS};
use super::views::Towers;
use super::vqa_rad::VqaRad;

/// Buckets of the head's n-grams.
const BUCKETS: usize = 8192;
/// Width of the head.
const HIDDEN: usize = 192;
/// Questions taken from each phantom.
const PER_PHANTOM: usize = 6;
/// How much a question about a phantom or from MedNIST counts beside one from VQA-RAD.
const EASY_WEIGHT: f32 = 0.5;

/// A question before it is made ready.
struct Asked {
    image: usize,
    question: String,
    answer: String,
    answer_type: AnswerType,
    weight: f32,
}

/// Questions with cached features, and which rows come from where.
pub struct Questions {
    /// Everything.
    pub data: AnswerData,
    /// Images as stored come first in the data, this many; other views follow.
    pub stored: usize,
    /// The same with the features of VQA-RAD's images averaged over small views, where that is wanted.
    pub averaged: Option<AnswerData>,
    /// The head's shape.
    pub config: AnswerHeadConfig,
    /// Row of each question of VQA-RAD, in its order.
    pub vqa: Vec<usize>,
    /// Rows about phantoms and MedNIST, for training.
    pub easy: Vec<usize>,
    /// Rows about phantoms of other seeds, for validation.
    pub phantom_held_out: Vec<usize>,
}

/// What questions are made of.
pub struct Sources<'a> {
    /// VQA-RAD with images as stored.
    pub vqa: &'a VqaRad,
    /// MedNIST.
    pub mednist: &'a [MedNistImage],
    /// Phantoms for training.
    pub phantoms: &'a [PhantomImage],
    /// Phantoms for validation.
    pub held_out: &'a [PhantomImage],
}

/// Computes features and makes questions ready.
pub fn gather(towers: &Towers<'_>, sources: &Sources<'_>) -> Result<Questions> {
    let clip = towers.clip;
    let mut images: Vec<&Image8> = Vec::new();
    let mut asked: Vec<Asked> = Vec::new();
    let names: BTreeMap<&str, usize> = sources
        .vqa
        .full
        .iter()
        .map(|(name, image)| {
            images.push(image);
            (name.as_str(), images.len() - 1)
        })
        .collect();
    for q in &sources.vqa.questions {
        asked.push(Asked {
            image: names[q.image.as_str()],
            question: q.question.clone(),
            answer: normalise_answer(q.answer()),
            answer_type: q.answer_type,
            weight: 1.0,
        });
    }
    let vqa: Vec<usize> = (0..asked.len()).collect();
    for phantom in sources.phantoms {
        images.push(&phantom.image);
        ask_phantom(&phantom.spec, phantom.view, images.len() - 1, &mut asked);
    }
    for image in sources.mednist.iter().filter(|i| !i.held_out) {
        let mut rng = ChaCha8Rng::seed_from_u64(images.len() as u64);
        if rng.random_bool(0.35) {
            images.push(&image.image);
            ask_mednist(image.class, images.len() - 1, &mut rng, &mut asked);
        }
    }
    let easy: Vec<usize> = (vqa.len()..asked.len()).collect();
    for phantom in sources.held_out {
        images.push(&phantom.image);
        ask_phantom(&phantom.spec, phantom.view, images.len() - 1, &mut asked);
    }
    let phantom_held_out: Vec<usize> = (vqa.len() + easy.len()..asked.len()).collect();

    let features = towers.features(&images)?;
    let answers: BTreeSet<String> = asked[..vqa.len() + easy.len()]
        .iter()
        .map(|a| a.answer.clone())
        .chain(["yes".to_string(), "no".to_string()])
        .collect();
    let answers: Vec<String> = answers.into_iter().collect();
    let places: BTreeMap<&str, usize> = answers
        .iter()
        .enumerate()
        .map(|(i, a)| (a.as_str(), i))
        .collect();

    // The same question is asked of many images: embed each wording once.
    let wordings: BTreeSet<&str> = asked.iter().map(|a| a.question.as_str()).collect();
    let wordings: Vec<String> = wordings.into_iter().map(str::to_string).collect();
    let ready = towers.questions(&wordings, BUCKETS)?;
    let ready: BTreeMap<&str, Question> = wordings.iter().map(String::as_str).zip(ready).collect();
    let rows = asked
        .iter()
        .map(|a| {
            let question = ready[a.question.as_str()].clone();
            let yes_no = matches!(a.answer.as_str(), "yes" | "no");
            let possible = yes_no == (question.form == QuestionForm::YesNo);
            Row {
                image: a.image,
                answer: places.get(a.answer.as_str()).copied().filter(|_| possible),
                question,
                answer_type: a.answer_type,
                weight: a.weight,
            }
        })
        .collect();
    let config = AnswerHeadConfig {
        image_features: feature_count(trunk_channels(clip), clip.config().embed_dim),
        embed_dim: clip.config().embed_dim,
        hidden: HIDDEN,
        buckets: BUCKETS,
        answers,
        gated: true,
        memory: None,
        ranker: None,
    };
    Ok(Questions {
        stored: features.len(),
        averaged: None,
        data: AnswerData {
            features,
            rows,
            ..AnswerData::default()
        },
        config,
        vqa,
        easy,
        phantom_held_out,
    })
}

/// Channels of the trunk's output.
fn trunk_channels(clip: &Clip) -> usize {
    match &clip.config().vision {
        lucency_zoo::clip::VisionConfig::Vit(vit) => vit.width,
        lucency_zoo::clip::VisionConfig::ResNet(resnet) => resnet.width * 16,
    }
}

fn ask_phantom(spec: &Spec, view: View, image: usize, asked: &mut Vec<Asked>) {
    let mut rng = ChaCha8Rng::seed_from_u64(spec.seed ^ 0x7161);
    let mut pairs: Vec<QaPair> = spec.questions_on(view, &mut rng);
    pairs.shuffle(&mut rng);
    pairs.truncate(PER_PHANTOM);
    asked.extend(pairs.into_iter().map(|pair| Asked {
        image,
        answer: normalise_answer(&pair.answer),
        question: pair.question,
        answer_type: match pair.answer_type {
            PhantomType::Open => AnswerType::Open,
            PhantomType::Closed => AnswerType::Closed,
        },
        weight: EASY_WEIGHT,
    }));
}

fn ask_mednist(class: usize, image: usize, rng: &mut ChaCha8Rng, asked: &mut Vec<Asked>) {
    let (name, region, _) = MEDNIST[class];
    let modality = match name {
        n if n.ends_with("CT") => "ct",
        n if n.ends_with("MRI") => "mri",
        _ => "xray",
    };
    let organ = match region {
        0 => "brain",
        r => REGIONS[r].0,
    };
    let mut push = |question: &str, answer: &str, answer_type| {
        asked.push(Asked {
            image,
            question: question.to_string(),
            answer: normalise_answer(answer),
            answer_type,
            weight: EASY_WEIGHT,
        });
    };
    let modality_questions = [
        "What is the modality of this image?",
        "What imaging modality is this?",
        "What type of image is this?",
        "How was this image taken?",
    ];
    let organ_questions = [
        "What organ is shown?",
        "What part of the body is this?",
        "What is the organ system in this image?",
        "Which region of the body is imaged?",
    ];
    push(
        modality_questions[rng.random_range(0..4)],
        modality,
        AnswerType::Open,
    );
    push(
        organ_questions[rng.random_range(0..4)],
        organ,
        AnswerType::Open,
    );
    let other = ["ct", "mri", "xray"][rng.random_range(0..3)];
    let word = match other {
        "ct" => "CT",
        "mri" => "MRI",
        _ => "x-ray",
    };
    let answer = if other == modality { "yes" } else { "no" };
    push(&format!("Is this a {word}?"), answer, AnswerType::Closed);
}
