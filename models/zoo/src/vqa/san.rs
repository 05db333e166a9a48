//! Stacked attention.

use candle_core::Tensor;
use lucency_nn::{Bias, Dropout, Linear, Weights, ops};

use super::ban::barred_objects;
use crate::Result;

/// Attention over objects, several times, each time with a refined question.
///
/// Keys: `fc11`, `fc12`, `fc13` for the first stack, `layers.0` … for the others, three a stack. Source: Yang et al. 2016,
/// eq. 15 to 22, with the question projected before it is joined, as the released MEVF does.
#[derive(Debug, Clone)]
pub struct StackedAttention {
    stacks: Vec<Stack>,
    dropout: f64,
}

#[derive(Debug, Clone)]
struct Stack {
    question: Linear,
    image: Linear,
    score: Linear,
}

impl StackedAttention {
    /// Loads stacks over objects `visual` wide and a question `hidden` wide.
    ///
    /// Errors name the tensor that is missing or misshapen.
    pub fn load(
        weights: &Weights,
        visual: usize,
        hidden: usize,
        stacks: usize,
        dropout: f64,
    ) -> Result<Self> {
        let load = |stack: usize| -> Result<Stack> {
            let key = |part: usize| match stack {
                0 => weights.pp(format!("fc1{}", part + 1)),
                _ => weights.pp(format!("layers.{}", 3 * (stack - 1) + part)),
            };
            Ok(Stack {
                question: Linear::load(&key(0), hidden, hidden, Bias::Yes)?,
                image: Linear::load(&key(1), visual, hidden, Bias::No)?,
                score: Linear::load(&key(2), hidden, 1, Bias::Yes)?,
            })
        };
        Ok(Self {
            stacks: (0..stacks).map(load).collect::<Result<_>>()?,
            dropout,
        })
    }

    /// Attends.
    ///
    /// - `objects`: `[b, objects, visual]`; objects that are all zero get no weight
    /// - `question`: `[b, hidden]`
    /// - returns the joint vector `[b, hidden]` and the weights of every stack `[b, stacks, objects]`
    pub fn forward(
        &self,
        objects: &Tensor,
        question: &Tensor,
        mut dropout: Option<&mut Dropout>,
    ) -> Result<(Tensor, Tensor)> {
        let barred = barred_objects(objects)?;
        let (mut joint, mut maps) = (question.clone(), Vec::with_capacity(self.stacks.len()));
        for (i, stack) in self.stacks.iter().enumerate() {
            let asked = stack.question.forward(&joint)?; // [b, h]
            let seen = stack.image.forward(objects)?; // [b, n, h]
            let both = ops::tanh(&seen.broadcast_add(&asked.unsqueeze(1)?)?)?;
            let both = Dropout::maybe(&mut dropout, &both, self.dropout)?;
            let mut scores = stack.score.forward(&both)?.squeeze(2)?; // [b, n]
            if let Some(barred) = &barred {
                scores = (scores + barred)?;
            }
            let weights = ops::softmax_last(&scores)?; // [b, n]
            let found = seen.broadcast_mul(&weights.unsqueeze(2)?)?.sum(1)?; // [b, h]
            // The first stack builds on the projected question, the others on the joint vector before them.
            joint = match i {
                0 => (asked + found)?,
                _ => (joint + found)?,
            };
            maps.push(weights);
        }
        Ok((joint, Tensor::stack(&maps, 1)?))
    }
}
