//! Other views of VQA-RAD's images for the answerer: small ones to average over, larger and mirrored ones to learn from.

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use candle_core::Device;
use lucency_train::answers::{AnswerData, Row, Variants};
use lucency_train::data::{Augment, Facing, Warp, augment, swap_sides};
use lucency_train::metrics::vqa::normalise_answer;
use lucency_zoo::clip::Clip;
use lucency_zoo::preprocess::{Image8, Preprocess};
use lucency_zoo::tokenizer::ClipTokenizer;
use lucency_zoo::vqa::{Question, QuestionForm, gram_ids, image_features};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

use super::clip::SIDE;
use super::kept::{Kept, image_key, key_of};
use super::questions::Questions;
use super::vqa_rad::VqaRad;

/// Views whose mean stands for an image, itself among them.
const AVERAGED: u64 = 4;
/// Random views of an image to learn from.
const LEARNED: u64 = 4;

/// What turns images into features.
pub struct Towers<'a> {
    /// The towers.
    pub clip: &'a Clip,
    /// Of the texts.
    pub tokenizer: &'a ClipTokenizer,
    /// Of the images.
    pub preprocess: &'a Preprocess,
    /// What they made of images and texts before.
    pub kept: Kept,
}

impl Towers<'_> {
    /// What the answer head sees of some images, `[n][f]`.
    pub fn features(&self, images: &[&Image8]) -> Result<Vec<Vec<f32>>> {
        let key = image_key(images.iter().copied());
        self.kept.rows("features", key, || {
            let mut features = Vec::with_capacity(images.len());
            for chunk in images.chunks(32) {
                let pixels = self.preprocess.batch(chunk, &Device::Cpu)?;
                features.extend(image_features(self.clip, &pixels)?.to_vec2::<f32>()?);
            }
            Ok(features)
        })
    }

    /// Questions made ready for the head.
    ///
    /// - `buckets`: as the head's configuration states
    pub fn questions(&self, texts: &[String], buckets: usize) -> Result<Vec<Question>> {
        let embeddings = self.kept.rows("questions", key_of(&texts), || {
            let ready = Question::batch(self.clip, self.tokenizer, texts, buckets)?;
            Ok(ready.into_iter().map(|q| q.embedding).collect())
        })?;
        let ready = texts.iter().zip(embeddings);
        Ok(ready
            .map(|(text, embedding)| Question {
                text: text.clone(),
                grams: gram_ids(&self.tokenizer.encode(text), buckets),
                embedding,
                form: QuestionForm::of(text),
            })
            .collect())
    }
}

/// The questions with the features of VQA-RAD's images averaged over small views (test-time augmentation; Krizhevsky et al. 2012,
/// section 4.1, without mirroring).
pub fn averaged(towers: &Towers<'_>, questions: &Questions, vqa: &VqaRad) -> Result<AnswerData> {
    let mut data = AnswerData {
        features: questions.data.features[..questions.stored].to_vec(),
        rows: questions.data.rows.clone(),
        variants: BTreeMap::new(),
    };
    for seed in 1..AVERAGED {
        let views = views_of(vqa, &Augment::gentle(), Facing::Same, seed)?;
        let views: Vec<&Image8> = views.iter().collect();
        for (sum, view) in data.features.iter_mut().zip(towers.features(&views)?) {
            sum.iter_mut().zip(view).for_each(|(s, v)| *s += v);
        }
    }
    for sum in &mut data.features[..vqa.full.len()] {
        sum.iter_mut().for_each(|s| *s /= AVERAGED as f32);
    }
    Ok(data)
}

/// Adds rows that ask VQA-RAD's questions about other views of their images, and about their mirror images with left and right swapped.
pub fn add_variants(towers: &Towers<'_>, questions: &mut Questions, vqa: &VqaRad) -> Result<()> {
    let mut first_of = Vec::new();
    for seed in 1..=LEARNED {
        let views = views_of(vqa, &Augment::default(), Facing::Same, 100 + seed)?;
        let views: Vec<&Image8> = views.iter().collect();
        first_of.push(questions.data.features.len());
        questions.data.features.extend(towers.features(&views)?);
    }
    let mirrored = views_of(vqa, &Augment::still(), Facing::Mirrored, 0)?;
    let mirrored: Vec<&Image8> = mirrored.iter().collect();
    let first_mirrored = questions.data.features.len();
    questions.data.features.extend(towers.features(&mirrored)?);

    let swapped: Vec<String> = vqa
        .questions
        .iter()
        .map(|q| swap_sides(&q.question))
        .collect();
    let buckets = questions.config.buckets;
    let swapped = towers.questions(&swapped, buckets)?;
    let data = &mut questions.data;
    for ((record, row), question) in vqa.questions.iter().zip(&questions.vqa).zip(swapped) {
        let own = data.rows[*row].clone();
        if own.answer.is_none() {
            continue;
        }
        let mut variants = Variants::default();
        for first in &first_of {
            variants.views.push(data.rows.len());
            data.rows.push(Row {
                image: first + own.image,
                ..own.clone()
            });
        }
        let answer = normalise_answer(&swap_sides(record.answer()));
        let yes_no = matches!(answer.as_str(), "yes" | "no");
        let possible = yes_no == (question.form == QuestionForm::YesNo);
        let answer = questions.config.answers.iter().position(|a| *a == answer);
        if let Some(answer) = answer.filter(|_| possible) {
            variants.mirrored = Some(data.rows.len());
            data.rows.push(Row {
                image: first_mirrored + own.image,
                question,
                answer: Some(answer),
                ..own
            });
        }
        data.variants.insert(*row, variants);
    }
    Ok(())
}

/// One view of every image of VQA-RAD, in their order.
fn views_of(vqa: &VqaRad, how: &Augment, facing: Facing, seed: u64) -> Result<Vec<Image8>> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    vqa.images
        .values()
        .map(|image| {
            let warp = Warp::draw(how, (image.width, image.height), facing, &mut rng);
            let grey: Vec<u8> = augment(image, SIDE, how, &warp, &mut rng)
                .into_iter()
                .map(|v| (v * 255.0).round() as u8)
                .collect();
            Image8::new(SIDE, SIDE, 1, grey).context("a view has the tower's size")
        })
        .collect()
}
