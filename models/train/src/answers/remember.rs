//! Fitting the answer head's memory: one linear system, no steps.

use std::collections::BTreeMap;

use candle_core::{Device, Tensor};
use lucency_zoo::vqa::{
    MemoryConfig, QuestionForm, form_factor, image_likeness, term_rarity, term_vector,
    unit_features,
};
use serde::{Deserialize, Serialize};

use super::AnswerData;
use super::cholesky::solve;
use crate::{Result, TrainError};

/// The constants of a memory; see [`MemoryConfig`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RememberConfig {
    /// Buckets of word n-grams.
    pub buckets: usize,
    /// How sharply images are told apart.
    pub sharpness: Vec<f64>,
    /// What a question counts whatever the image.
    pub everywhere: f64,
    /// Factor on the likeness of a yes-or-no question and one of another form.
    pub other_form: f64,
    /// Added to the kernel's diagonal.
    pub ridge: f64,
}

impl Default for RememberConfig {
    fn default() -> Self {
        Self {
            buckets: 1 << 15,
            sharpness: vec![4.0, 16.0, 1e3],
            everywhere: 0.05,
            other_form: 0.3,
            ridge: 0.1,
        }
    }
}

/// A fitted memory: its sizes, and its tensors by name below `memory`.
pub type Remembered = (MemoryConfig, BTreeMap<String, Tensor>);

/// Remembers some questions with their answers. The two factors that mix head and memory are left for validation to choose.
///
/// - `rows`: rows of `data`; those whose answer the head does not know are left out
/// - `drawings`: rows of `data` about drawings, which the head learned from and the memory does not hold
/// - `answers`: length of the head's list of answers
///
/// Errors if no row is left, or if the system cannot be solved (a ridge that is too small).
pub fn remember(
    data: &AnswerData,
    rows: &[usize],
    drawings: &[usize],
    answers: usize,
    how: &RememberConfig,
) -> Result<Remembered> {
    let rows: Vec<(usize, usize)> = rows
        .iter()
        .filter_map(|r| data.rows[*r].answer.map(|answer| (*r, answer)))
        .collect();
    let n = rows.len();
    if n == 0 {
        return Err(TrainError::Data("no question has a known answer".into()));
    }
    let (image_of, kept) = places(rows.iter().map(|(r, _)| data.rows[*r].image));
    let texts: Vec<&str> = rows
        .iter()
        .map(|(r, _)| data.rows[*r].question.text.as_str())
        .collect();
    let (wording_of, wordings) = places(texts.iter().copied());

    let (mean, inverse_std) = spread(data, &kept)?;
    let images = features_of(data, &kept)?;
    let images = unit_features(&images, &mean, &inverse_std)?; // [m, f]
    let (_, drawings) = places(drawings.iter().map(|r| data.rows[*r].image));
    let drawn = match drawings.is_empty() {
        true => vec![0.0; images.dim(1)? + 1],
        false => {
            let drawings = features_of(data, &drawings)?;
            let drawings = unit_features(&drawings, &mean, &inverse_std)?;
            told_apart(&images.to_vec2()?, &drawings.to_vec2()?)?
        }
    };
    let likeness: Vec<Vec<f32>> = image_likeness(&images, &images, &how.sharpness)?.to_vec2()?;
    let rarity = term_rarity(&wordings, how.buckets);
    let vectors: Vec<Vec<(u32, f32)>> = wordings
        .iter()
        .map(|text| term_vector(text, &rarity))
        .collect();
    let alike = cosines(&vectors, rarity.len());

    let yes_no: Vec<bool> = wordings
        .iter()
        .map(|text| QuestionForm::of(text) == QuestionForm::YesNo)
        .collect();
    let mut kernel = vec![0f64; n * n];
    for i in 0..n {
        for j in 0..=i {
            let images = f64::from(likeness[image_of[i] as usize][image_of[j] as usize]);
            let (a, b) = (wording_of[i] as usize, wording_of[j] as usize);
            let texts = alike[a][b] * form_factor(yes_no[a], yes_no[b], how.other_form);
            kernel[i * n + j] = f64::from(texts) * (images + how.everywhere);
        }
        kernel[i * n + i] += how.ridge;
    }
    let mut wanted = vec![0f64; n * answers];
    for (i, (_, answer)) in rows.iter().enumerate() {
        wanted[i * answers + answer] = 1.0;
    }
    let scores = solve(kernel, n, &wanted).ok_or_else(|| {
        TrainError::Data("the memory's system cannot be solved: raise the ridge".into())
    })?;
    let answer_of: Vec<u32> = rows.iter().map(|(_, answer)| *answer as u32).collect();
    let yes_no: Vec<u32> = yes_no.into_iter().map(u32::from).collect();
    let scores: Vec<f32> = scores.into_iter().map(|v| v as f32).collect();

    let mut starts = vec![0u32];
    let (mut buckets, mut values) = (Vec::new(), Vec::new());
    for vector in &vectors {
        for (bucket, value) in vector {
            buckets.push(*bucket);
            values.push(*value);
        }
        starts.push(buckets.len() as u32);
    }
    let config = MemoryConfig {
        cases: n,
        images: kept.len(),
        wordings: wordings.len(),
        terms: buckets.len(),
        buckets: how.buckets,
        sharpness: how.sharpness.clone(),
        everywhere: how.everywhere,
        other_form: how.other_form,
        weight: 20.0,
        trust: 1.0,
    };
    let device = &Device::Cpu;
    let tensors = BTreeMap::from(
        [
            ("mean", mean),
            ("inverse_std", inverse_std),
            ("images", images),
            ("drawn", Tensor::new(drawn, device)?),
            ("image_of", Tensor::new(image_of, device)?),
            ("wording_of", Tensor::new(wording_of, device)?),
            ("answer_of", Tensor::new(answer_of, device)?),
            ("yes_no", Tensor::new(yes_no, device)?),
            ("rarity", Tensor::new(rarity, device)?),
            ("starts", Tensor::new(starts, device)?),
            ("buckets", Tensor::new(buckets, device)?),
            ("values", Tensor::new(values, device)?),
            ("scores", Tensor::from_vec(scores, (n, answers), device)?),
        ]
        .map(|(name, tensor)| (format!("memory.{name}"), tensor)),
    );
    Ok((config, tensors))
}

/// A plane that is 0 on the first vectors and 1 on the others, `[f + 1]` with the constant last: ridge regression in which both kinds count
/// alike.
fn told_apart(zeros: &[Vec<f32>], ones: &[Vec<f32>]) -> Result<Vec<f32>> {
    const RIDGE: f64 = 1e-3;
    let f = zeros.first().map_or(0, Vec::len);
    let side = f + 1;
    let mut normal = vec![0f64; side * side];
    let mut wanted = vec![0f64; side];
    for (rows, target) in [(zeros, 0.0), (ones, 1.0)] {
        let weight = 1.0 / rows.len().max(1) as f64;
        for row in rows {
            let x: Vec<f64> = row.iter().map(|v| f64::from(*v)).chain([1.0]).collect();
            for i in 0..side {
                let scaled = weight * x[i];
                let line = &mut normal[i * side..i * side + i + 1];
                line.iter_mut()
                    .zip(&x)
                    .for_each(|(sum, v)| *sum += scaled * v);
                wanted[i] += scaled * target;
            }
        }
    }
    for i in 0..side {
        normal[i * side + i] += RIDGE;
    }
    let plane = solve(normal, side, &wanted).ok_or_else(|| {
        TrainError::Data("drawings and remembered images cannot be told apart".into())
    })?;
    Ok(plane.into_iter().map(|v| v as f32).collect())
}

/// Each item's place in the list of different items, and that list.
fn places<T: Ord + Copy>(items: impl Iterator<Item = T>) -> (Vec<u32>, Vec<T>) {
    let mut list = Vec::new();
    let mut known = BTreeMap::new();
    let places = items
        .map(|item| {
            *known.entry(item).or_insert_with(|| {
                list.push(item);
                (list.len() - 1) as u32
            })
        })
        .collect();
    (places, list)
}

fn features_of(data: &AnswerData, images: &[usize]) -> Result<Tensor> {
    let width = data.features.first().map_or(0, Vec::len);
    let flat: Vec<f32> = images
        .iter()
        .flat_map(|i| &data.features[*i])
        .copied()
        .collect();
    Ok(Tensor::from_vec(flat, (images.len(), width), &Device::Cpu)?)
}

/// Mean and inverse standard deviation of every feature over some images, `[f]` each.
fn spread(data: &AnswerData, images: &[usize]) -> Result<(Tensor, Tensor)> {
    let width = data.features.first().map_or(0, Vec::len);
    let n = images.len().max(1) as f32;
    let column = |f: usize| images.iter().map(move |i| data.features[*i][f]);
    let (mean, inverse): (Vec<f32>, Vec<f32>) = (0..width)
        .map(|f| {
            let mean = column(f).sum::<f32>() / n;
            let variance = column(f).map(|v| (v - mean).powi(2)).sum::<f32>() / n;
            (mean, 1.0 / (variance.sqrt() + 1e-3))
        })
        .unzip();
    Ok((
        Tensor::new(mean, &Device::Cpu)?,
        Tensor::new(inverse, &Device::Cpu)?,
    ))
}

/// All pairs' cosines of sparse vectors.
fn cosines(vectors: &[Vec<(u32, f32)>], buckets: usize) -> Vec<Vec<f32>> {
    let mut dense = vec![0f32; buckets];
    vectors
        .iter()
        .map(|one| {
            for (bucket, value) in one {
                dense[*bucket as usize] = *value;
            }
            let row = vectors
                .iter()
                .map(|other| other.iter().map(|(b, v)| dense[*b as usize] * v).sum())
                .collect();
            for (bucket, _) in one {
                dense[*bucket as usize] = 0.0;
            }
            row
        })
        .collect()
}
