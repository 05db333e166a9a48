//! Several heads as one: their mean, written as a wider head.

use std::collections::HashMap;

use candle_core::{DType, Device, Tensor};
use lucency_zoo::vqa::AnswerHeadConfig;

use crate::{Result, TrainError};

/// How a tensor of the wider head is made of the members'.
enum Joint {
    /// All are the same.
    Same,
    /// One below the other: each member has hidden units of its own.
    Rows,
    /// Side by side.
    Columns,
    /// On the diagonal: no member sees another's units.
    Diagonal,
    /// Side by side, divided by their number: the mean of what the members' units give.
    MeanColumns,
    /// The mean.
    Mean,
}

const PARTS: [(&str, Joint); 14] = [
    ("features.mean", Joint::Same),
    ("features.inverse_std", Joint::Same),
    ("grams.weight", Joint::Columns),
    ("text.weight", Joint::Rows),
    ("text.bias", Joint::Rows),
    ("image.weight", Joint::Rows),
    ("image.bias", Joint::Rows),
    ("fuse_question.weight", Joint::Diagonal),
    ("fuse_question.bias", Joint::Rows),
    ("from_fused.weight", Joint::MeanColumns),
    ("from_question.weight", Joint::MeanColumns),
    ("from_question.bias", Joint::Mean),
    ("from_image.weight", Joint::MeanColumns),
    ("overlap.weight", Joint::MeanColumns),
];
const OVERLAP_BIAS: &str = "overlap.bias";

/// Heads of one shape, fitted on the same images, as one head whose logits are the mean of theirs.
///
/// The probabilities are the members' geometric mean. Returns the tensors and the shape, `hidden` times as many as there are members.
///
/// Errors if there is no member, or one lacks a tensor.
pub fn ensemble(
    members: &[HashMap<String, Tensor>],
    config: &AnswerHeadConfig,
) -> Result<(HashMap<String, Tensor>, AnswerHeadConfig)> {
    if members.is_empty() {
        return Err(TrainError::Plan("an ensemble wants a member".into()));
    }
    let mut joint: HashMap<String, Tensor> = HashMap::new();
    for (name, how) in PARTS.iter().chain([&(OVERLAP_BIAS, Joint::Mean)]) {
        let parts: Vec<&Tensor> = members
            .iter()
            .map(|m| m.get(*name))
            .collect::<Option<_>>()
            .ok_or_else(|| TrainError::Data(format!("a head of the ensemble lacks {name}")))?;
        joint.insert((*name).to_string(), join(&parts, how)?);
    }
    let mut config = config.clone();
    config.hidden *= members.len();
    Ok((joint, config))
}

fn join(parts: &[&Tensor], how: &Joint) -> Result<Tensor> {
    let share = 1.0 / parts.len() as f64;
    Ok(match how {
        Joint::Same => parts[0].clone(),
        Joint::Rows => Tensor::cat(parts, 0)?,
        Joint::Columns => Tensor::cat(parts, 1)?,
        Joint::MeanColumns => (Tensor::cat(parts, 1)? * share)?,
        Joint::Mean => (Tensor::stack(parts, 0)?.sum(0)? * share)?,
        Joint::Diagonal => diagonal(parts)?,
    })
}

/// Square matrices on a diagonal, zeros elsewhere, `[n · h, n · h]`.
fn diagonal(parts: &[&Tensor]) -> Result<Tensor> {
    let h = parts[0].dim(0)?;
    let rows: Vec<Tensor> = parts
        .iter()
        .enumerate()
        .map(|(k, part)| {
            let zeros = |n: usize| Tensor::zeros((h, n * h), DType::F32, &Device::Cpu);
            let (left, right) = (zeros(k)?, zeros(parts.len() - 1 - k)?);
            let blocks: Vec<&Tensor> = [&left, *part, &right]
                .into_iter()
                .filter(|t| t.elem_count() > 0)
                .collect();
            Ok(Tensor::cat(&blocks, 1)?)
        })
        .collect::<Result<_>>()?;
    Ok(Tensor::cat(&rows, 0)?)
}
