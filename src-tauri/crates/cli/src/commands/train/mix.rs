//! How much the answer head and its memory count.

use std::collections::HashMap;

use anyhow::Result;
use candle_core::Tensor;
use lucency_train::answers::{Control, Judged, judge};
use lucency_train::calibration::{fit_temperature, softmax};
use lucency_zoo::vqa::AnswerHeadConfig;

use super::answers::load;
use super::questions::Questions;
use super::vqa_rad;

/// How much the head and its memory count.
#[derive(Clone, Copy)]
pub struct Mix {
    trust: f64,
    weight: f64,
}

/// Sets the mix of a head that has a memory.
pub fn set_mix(config: &mut AnswerHeadConfig, mix: Mix) {
    if let Some(memory) = &mut config.memory {
        (memory.trust, memory.weight) = (mix.trust, mix.weight);
    }
}

/// The mix under which the answers to every second held-out question are most probable, at the mix's own temperature: questions of
/// VQA-RAD and questions about phantoms count alike, so that the memory of the one does not drown the other.
pub fn choose_mix(
    tensors: &HashMap<String, Tensor>,
    config: &mut AnswerHeadConfig,
    questions: &Questions,
    vqa: &vqa_rad::VqaRad,
) -> Result<Mix> {
    let held_out = vqa
        .by_question
        .held_out
        .iter()
        .chain(&vqa.by_image.held_out);
    let real: Vec<usize> = held_out.step_by(2).map(|i| questions.vqa[*i]).collect();
    let drawn: Vec<usize> = questions
        .phantom_held_out
        .iter()
        .step_by(2)
        .copied()
        .collect();
    let mut best = (
        f64::INFINITY,
        Mix {
            trust: 1.0,
            weight: 0.0,
        },
    );
    if config.memory.is_none() {
        return Ok(best.1);
    }
    for trust in [0.25, 0.5, 1.0] {
        for weight in [2.5, 5.0, 10.0, 20.0, 40.0] {
            let mix = Mix { trust, weight };
            set_mix(config, mix);
            let head = load(tensors, config)?;
            let judge = |rows: &[usize]| judge(&head, &questions.data, rows, Control::Image);
            let judged = judge(&real)?;
            let temperature = fit_temperature(&judged.logits, &judged.right)?;
            let on_real = answer_loss(&judged, &real, questions, temperature);
            let on_drawn = answer_loss(&judge(&drawn)?, &drawn, questions, temperature);
            eprintln!(
                "head {trust}, memory {weight}: loss {on_real:.4} + {on_drawn:.4}, temperature {temperature:.2}"
            );
            if on_real + on_drawn < best.0 {
                best = (on_real + on_drawn, mix);
            }
        }
    }
    set_mix(config, best.1);
    Ok(best.1)
}

/// Mean negative log-probability of the expected answers that the head knows.
fn answer_loss(judged: &Judged, rows: &[usize], questions: &Questions, temperature: f64) -> f64 {
    let losses: Vec<f64> = rows
        .iter()
        .zip(&judged.logits)
        .filter_map(|(row, logits)| {
            let answer = questions.data.rows[*row].answer?;
            Some(-softmax(logits, temperature)[answer].max(1e-9).ln())
        })
        .collect();
    losses.iter().sum::<f64>() / losses.len().max(1) as f64
}
