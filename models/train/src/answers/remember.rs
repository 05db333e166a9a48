//! Building the memory from training questions.

use std::collections::{BTreeMap, HashMap};

use candle_core::{Device, Tensor};
use lucency_nn::Weights;
use lucency_nn::ops::l2_normalise;
use lucency_zoo::vqa::{AnswerHead, AnswerHeadConfig, MemoryConfig};

use super::AnswerData;
use crate::Result;

/// The first numbers of a memory: image similarity, question similarity, their product, and the null slot.
const FIRST_SCALES: [f32; 4] = [4.0, 6.0, 6.0, 12.0];

/// Adds a memory of some rows to a trained head.
///
/// - `tensors`, `config`: the head without memory
/// - `rows`: the rows to remember; those without a known answer are skipped
/// - returns the head's tensors and configuration with the memory
pub fn with_memory(
    tensors: &HashMap<String, Tensor>,
    config: &AnswerHeadConfig,
    data: &AnswerData,
    rows: &[usize],
) -> Result<(HashMap<String, Tensor>, AnswerHeadConfig)> {
    let head = AnswerHead::load(
        &Weights::from_tensors(tensors.clone(), "the answer head"),
        config,
    )?;
    let known: Vec<(usize, usize)> = rows
        .iter()
        .filter_map(|r| data.rows[*r].answer.map(|a| (*r, a)))
        .collect();
    let mut places: BTreeMap<usize, usize> = BTreeMap::new();
    for (row, _) in &known {
        let next = places.len();
        places.entry(data.rows[*row].image).or_insert(next);
    }
    let mut images: Vec<usize> = vec![0; places.len()];
    for (image, place) in &places {
        images[*place] = *image;
    }
    let width = config.image_features;
    let mut flat = Vec::with_capacity(images.len() * width);
    for image in &images {
        flat.extend_from_slice(&data.features[*image]);
    }
    let device = Device::Cpu;
    let keys = Tensor::from_vec(flat, (images.len(), width), &device)?;
    let keys = l2_normalise(&head.standardise(&keys)?)?;

    let grams = known
        .iter()
        .map(|(r, _)| data.rows[*r].question.grams.len())
        .max()
        .unwrap_or(1);
    let mut row_grams: Vec<u32> = Vec::with_capacity(known.len() * grams);
    let mut counts = vec![0f32; config.buckets];
    for (row, _) in &known {
        let own = &data.rows[*row].question.grams;
        own.iter().for_each(|g| counts[*g as usize] += 1.0);
        row_grams.extend(own);
        row_grams.extend(std::iter::repeat_n(
            config.buckets as u32,
            grams - own.len(),
        ));
    }
    // Inverse document frequency, smoothed. Source: Spärck Jones 1972.
    let n = known.len() as f32;
    let idf: Vec<f32> = counts
        .iter()
        .map(|c| ((1.0 + n) / (1.0 + c)).ln() + 1.0)
        .collect();
    let row_image: Vec<u32> = known
        .iter()
        .map(|(r, _)| places[&data.rows[*r].image] as u32)
        .collect();
    let row_answer: Vec<u32> = known.iter().map(|(_, a)| *a as u32).collect();
    let rows = known.len();
    let mut out = tensors.clone();
    let vector = |values: &[f32]| Tensor::from_slice(values, values.len(), &device);
    let places = |values: &[u32]| Tensor::from_slice(values, values.len(), &device); // 16-bit floats could not hold them
    out.insert("memory.images".into(), keys);
    out.insert("memory.row_image".into(), places(&row_image)?);
    out.insert("memory.row_answer".into(), places(&row_answer)?);
    out.insert(
        "memory.row_grams".into(),
        Tensor::from_vec(row_grams, (rows, grams), &device)?,
    );
    out.insert("memory.idf".into(), vector(&idf)?);
    out.insert("memory.scales".into(), vector(&FIRST_SCALES)?);
    let memory = MemoryConfig {
        images: images.len(),
        rows,
        grams,
    };
    let config = AnswerHeadConfig {
        memory: Some(memory),
        ..config.clone()
    };
    Ok((out, config))
}
