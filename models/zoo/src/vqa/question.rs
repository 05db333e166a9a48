//! What the answer head sees of a question.

use candle_core::{Device, Tensor};

use crate::Result;
use crate::clip::Clip;
use crate::tokenizer::ClipTokenizer;

/// How a question wants to be answered, read off its words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum QuestionForm {
    /// It starts with an auxiliary verb and offers no choice: yes or no.
    YesNo,
    /// It offers a choice ("... or ...").
    Choice,
    /// Everything else.
    Open,
}

impl QuestionForm {
    /// The form of a question.
    pub fn of(question: &str) -> Self {
        let lower = question.to_lowercase();
        let mut words = words(&lower);
        let first = words.next().unwrap_or_default();
        let auxiliary = matches!(
            first,
            "is" | "are"
                | "was"
                | "were"
                | "does"
                | "do"
                | "did"
                | "has"
                | "have"
                | "had"
                | "can"
                | "could"
                | "would"
                | "should"
        );
        if words.any(|w| w == "or") {
            Self::Choice
        } else if auxiliary {
            Self::YesNo
        } else {
            Self::Open
        }
    }
}

/// The words of a lower-case text.
pub(super) fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| !c.is_alphanumeric())
        .filter(|w| !w.is_empty())
}

/// A question made ready for the head.
#[derive(Clone, Debug)]
pub struct Question {
    /// As asked.
    pub text: String,
    /// Hashed 1-, 2- and 3-grams of its token ids, sorted, each once.
    pub grams: Vec<u32>,
    /// The text tower's embedding, not normalised, `[embed_dim]`.
    pub embedding: Vec<f32>,
    /// How it wants to be answered.
    pub form: QuestionForm,
}

impl Question {
    /// Tokenises, hashes and embeds a question.
    ///
    /// - `buckets`: as the head's configuration states
    pub fn new(clip: &Clip, tokenizer: &ClipTokenizer, text: &str, buckets: usize) -> Result<Self> {
        let mut questions = Self::batch(clip, tokenizer, &[text], buckets)?;
        Ok(questions.remove(0))
    }

    /// Many questions in one pass of the text tower.
    pub fn batch<T: AsRef<str>>(
        clip: &Clip,
        tokenizer: &ClipTokenizer,
        texts: &[T],
        buckets: usize,
    ) -> Result<Vec<Self>> {
        let context = clip.config().text.context;
        let mut out = Vec::with_capacity(texts.len());
        for chunk in texts.chunks(64) {
            let mut flat = Vec::with_capacity(chunk.len() * context);
            for text in chunk {
                flat.extend(tokenizer.tokenize(text.as_ref(), context));
            }
            let ids = Tensor::from_vec(flat, (chunk.len(), context), &Device::Cpu)?;
            let embedded: Vec<Vec<f32>> = clip.encode_text(&ids)?.to_vec2()?;
            for (text, embedding) in chunk.iter().zip(embedded) {
                let text = text.as_ref();
                out.push(Self {
                    text: text.to_string(),
                    grams: gram_ids(&tokenizer.encode(text), buckets),
                    embedding,
                    form: QuestionForm::of(text),
                });
            }
        }
        Ok(out)
    }
}

/// Buckets of all 1-, 2- and 3-grams of token ids, sorted, each once; the start and the end count as tokens.
///
/// Source: the hashing trick of Weinberger et al. 2009, with FNV-1a.
pub fn gram_ids(ids: &[u32], buckets: usize) -> Vec<u32> {
    const EDGE: u32 = u32::MAX;
    let mut padded = Vec::with_capacity(ids.len() + 2);
    padded.push(EDGE);
    padded.extend(ids);
    padded.push(EDGE);
    let mut out: Vec<u32> = (1..=3)
        .flat_map(|n| padded.windows(n))
        .filter(|gram| *gram != [EDGE])
        .map(|gram| {
            let hash = gram
                .iter()
                .flat_map(|id| id.to_le_bytes())
                .fold(0xcbf2_9ce4_8422_2325u64, |hash, byte| {
                    (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
                });
            ((hash ^ (hash >> 32)) % buckets as u64) as u32
        })
        .collect();
    out.sort_unstable();
    out.dedup();
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_form_follows_from_the_words() {
        assert_eq!(
            QuestionForm::of("Is there a pneumothorax?"),
            QuestionForm::YesNo
        );
        assert_eq!(
            QuestionForm::of("Is this a CT or an MRI?"),
            QuestionForm::Choice
        );
        assert_eq!(QuestionForm::of("Where is the lesion?"), QuestionForm::Open);
    }

    #[test]
    fn grams_know_the_order_of_tokens() {
        assert_ne!(gram_ids(&[1, 2, 3], 8192), gram_ids(&[3, 2, 1], 8192));
        assert_eq!(
            gram_ids(&[1], 8192).len(),
            4,
            "one token, two edges, one triple"
        );
    }
}
