//! Fitting the heads on pairs.

use candle_core::{Device, Tensor};
use lucency_nn::{Interrupt, Progress};
use lucency_zoo::clip::Clip;
use lucency_zoo::preprocess::{Image8, Preprocess};
use lucency_zoo::tokenizer::ClipTokenizer;

use super::super::features::{Pictures, texture_of};
use super::words::{Counts, directions, inverse_frequencies, mean, times, unit_counts};
use super::{ReportHeads, ridge};
use crate::{Result, TrainError};

/// Images a forward pass.
const BATCH: usize = 16;
/// Penalty of the regression in units of the mean squared length of an image's standardised features. Between 0.3 and 3 it makes no
/// difference worth a choice, so that no pair is needed to choose it by.
const STRENGTH: f64 = 1.0;
/// Standard deviation below which a feature says nothing.
const SILENT: f64 = 1e-3;

/// Fits the heads on pictures with reports; rows with an empty report take no part.
///
/// Errors with [`TrainError::Stopped`] if stopped, if fewer than two rows have a report, no word is in two reports, or the images do not differ.
#[allow(clippy::too_many_arguments)] // the model's three, the pairs' three, and whom to stop and report by
pub(in super::super) fn fit_heads(
    clip: &Clip,
    preprocess: &Preprocess,
    tokenizer: &ClipTokenizer,
    pictures: &dyn Pictures,
    reports: &[String],
    rows: &[usize],
    seed: u64,
    stop: &Interrupt,
    report: &mut dyn FnMut(Progress),
) -> Result<ReportHeads> {
    let has_report = |i: &usize| !reports[*i].trim().is_empty();
    let rows: Vec<usize> = rows.iter().copied().filter(has_report).collect();
    if rows.len() < 2 {
        return Err(TrainError::Data(format!(
            "training on reports wants reports of at least two training cases, {} have one",
            rows.len()
        )));
    }
    let own: Vec<&str> = rows.iter().map(|i| reports[*i].as_str()).collect();
    let d = clip.config().embed_dim;
    let words = Words::of(tokenizer, &own, clip.config().text.context, d, seed)?;
    let features = features(clip, preprocess, pictures, &rows, stop, report)?;
    let (n, f) = (rows.len(), features[0].len());
    let (middle, spread) = moments(&features);
    let known = |k: usize| spread[k] >= SILENT;
    let x: Vec<f64> = features
        .iter()
        .flat_map(|row| row.iter().enumerate())
        .map(|(k, value)| match known(k) {
            true => (f64::from(*value) - middle[k]) / spread[k],
            false => 0.0,
        })
        .collect();
    let (centre, _) = moments(&words.places);
    let y: Vec<f64> = words
        .places
        .iter()
        .flat_map(|row| row.iter().zip(&centre).map(|(v, c)| v - c))
        .collect();
    let same =
        || TrainError::Data("the images do not differ: nothing can be learned of them".into());
    let mut map = ridge::ridge(&x, &y, n, STRENGTH).ok_or_else(same)?; // [f, d]
    for (k, row) in map.chunks_exact_mut(d).enumerate() {
        let factor = if known(k) { spread[k].recip() } else { 0.0 };
        row.iter_mut().for_each(|value| *value *= factor);
    }
    let tensor = |values: &[f64], shape: &[usize]| -> Result<Tensor> {
        let values: Vec<f32> = values.iter().map(|v| *v as f32).collect();
        Ok(Tensor::from_vec(values, shape, &Device::Cpu)?)
    };
    let v = words.weights.len();
    Ok(ReportHeads {
        mean: tensor(&middle, &[f])?,
        image: tensor(&map, &[f, d])?,
        weights: Tensor::from_vec(words.weights, v, &Device::Cpu)?,
        text: tensor(&words.map, &[v, d])?,
        offset: tensor(&words.offset, &[d])?,
    })
}

/// What was learned of the reports' words.
struct Words {
    weights: Vec<f32>,
    map: Vec<f64>,         // [v, d]
    offset: Vec<f64>,      // [d]
    places: Vec<Vec<f64>>, // of the reports, [n][d], unit length
}

impl Words {
    fn of(
        tokenizer: &ClipTokenizer,
        reports: &[&str],
        context: usize,
        d: usize,
        seed: u64,
    ) -> Result<Self> {
        let v = tokenizer.vocab_size();
        let whole: Vec<Vec<u32>> = reports.iter().map(|r| tokenizer.encode(r)).collect();
        let weights = inverse_frequencies(&whole, v);
        // A report is read in pieces wherever it is embedded, so it is learned in pieces.
        let pieces: Vec<Vec<Counts>> = reports
            .iter()
            .map(|report| {
                let pieces = tokenizer.pieces(report, context);
                let counts = |piece: &String| unit_counts(&tokenizer.encode(piece), &weights);
                pieces.iter().map(counts).collect()
            })
            .collect();
        let all = pieces.concat();
        if all.iter().all(Vec::is_empty) {
            return Err(TrainError::Data(
                "no word is in two of the reports: nothing can be learned of them".into(),
            ));
        }
        let mean = mean(&all, v);
        let map = directions(&all, &mean, d, seed);
        let offset = times(&mean, &map, d);
        let places = pieces.iter().map(|own| place(own, &map, &offset)).collect();
        Ok(Self {
            weights,
            map,
            offset,
            places,
        })
    }
}

/// The direction of the mean of a report's pieces, `[d]`.
fn place(pieces: &[Counts], map: &[f64], offset: &[f64]) -> Vec<f64> {
    let d = offset.len();
    let mut sum = vec![0f64; d];
    for piece in pieces {
        let mut mapped: Vec<f64> = offset.iter().map(|o| -o).collect();
        for (token, value) in piece {
            let row = &map[token * d..][..d];
            let parts = mapped.iter_mut().zip(row);
            parts.for_each(|(m, r)| *m += f64::from(*value) * r);
        }
        normalise(&mut mapped);
        sum.iter_mut().zip(&mapped).for_each(|(s, m)| *s += m);
    }
    normalise(&mut sum);
    sum
}

fn normalise(x: &mut [f64]) {
    let length = x.iter().map(|v| v * v).sum::<f64>().sqrt();
    if length > 0.0 {
        x.iter_mut().for_each(|v| *v /= length);
    }
}

fn features(
    clip: &Clip,
    preprocess: &Preprocess,
    pictures: &dyn Pictures,
    rows: &[usize],
    stop: &Interrupt,
    report: &mut dyn FnMut(Progress),
) -> Result<Vec<Vec<f32>>> {
    let total = rows.len() as u64;
    let mut features = Vec::with_capacity(rows.len());
    for (batch, some) in rows.chunks(BATCH).enumerate() {
        if stop.is_stopped() {
            return Err(TrainError::Stopped);
        }
        report(Progress::new("training", (batch * BATCH) as u64, total));
        let images: Vec<Image8> = some
            .iter()
            .map(|i| pictures.picture(*i))
            .collect::<Result<_>>()?;
        let images: Vec<&Image8> = images.iter().collect();
        let pixels = preprocess.batch(&images, &Device::Cpu)?;
        features.extend(texture_of(clip, &pixels)?.to_vec2::<f32>()?);
    }
    report(Progress::new("training", total, total));
    Ok(features)
}

/// Mean and standard deviation of every column.
fn moments<T: Copy + Into<f64>>(rows: &[Vec<T>]) -> (Vec<f64>, Vec<f64>) {
    let (n, columns) = (rows.len() as f64, rows.first().map_or(0, Vec::len));
    let mut middle = vec![0f64; columns];
    for row in rows {
        middle
            .iter_mut()
            .zip(row)
            .for_each(|(m, v)| *m += (*v).into() / n);
    }
    let mut spread = vec![0f64; columns];
    for row in rows {
        let parts = spread.iter_mut().zip(row).zip(&middle);
        parts.for_each(|((s, v), m)| *s += ((*v).into() - m).powi(2) / n);
    }
    spread.iter_mut().for_each(|s| *s = s.sqrt());
    (middle, spread)
}
