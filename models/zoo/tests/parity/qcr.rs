use crate::mevf::tokens;
use crate::{assert_close, tensors, vector};
use candle_core::{Device, Tensor};
use lucency_nn::{Dropout, Mode, Weights};
use lucency_zoo::vqa::{
    Branch, Qcr, QcrConfig, QcrOutput, QuestionConfig, Rnn, TypeClassifier, TypeClassifierConfig,
    VisualBatch, VisualConfig,
};
use std::collections::HashMap;

const FOLDER: &str = "qcr";

fn question() -> QuestionConfig {
    QuestionConfig {
        words: 20,
        length: 12,
        word_dim: 300,
        concatenated: true,
        rnn: Rnn::Gru,
        hidden: 16,
    }
}

fn config() -> QcrConfig {
    QcrConfig {
        question: question(),
        visual: VisualConfig {
            maml: false,
            ae_side: Some(16),
            clip_dim: None,
        },
        glimpses: 3,
        closed_answers: 5,
        open_answers: 11,
        mask_padding: false,
        dropout: 0.5,
    }
}

struct Case {
    model: Qcr,
    kinds: TypeClassifier,
    batch: VisualBatch,
    inputs: HashMap<String, Tensor>,
    wanted: HashMap<String, Tensor>,
    tokens: Vec<Vec<u32>>,
    split: Vec<bool>,
}

impl Case {
    fn load() -> Self {
        let open = |file: &str| Weights::open(&vector(FOLDER, file), &Device::Cpu).unwrap();
        let inputs = tensors(FOLDER, "inputs.safetensors");
        let kinds = TypeClassifierConfig {
            question: question(),
            mask_padding: false,
        };
        let targets: Vec<i64> = inputs["answer_target"].to_vec1().unwrap();
        Self {
            model: Qcr::load(&open("weights.safetensors"), &config()).unwrap(),
            kinds: TypeClassifier::load(&open("type_classifier.safetensors"), &kinds).unwrap(),
            batch: VisualBatch {
                ae: Some(inputs["ae_image"].clone()),
                ..VisualBatch::default()
            },
            tokens: tokens(&inputs["question"]),
            split: targets.iter().map(|target| *target == 0).collect(),
            wanted: tensors(FOLDER, "outputs.safetensors"),
            inputs,
        }
    }

    fn run(&self, split: &[bool], dropout: Option<&mut Dropout>) -> QcrOutput {
        self.model
            .forward(&self.batch, &self.tokens, split, Mode::Eval, dropout)
            .unwrap()
    }

    fn close(&self, key: &str, found: &Tensor) {
        assert_close(key, found, &self.wanted[key], 1e-5);
    }

    fn check(&self, prefix: &str, output: &QcrOutput) {
        for (name, branch) in [("close", &output.closed), ("open", &output.open)] {
            let Branch { logits, joint, .. } = branch;
            self.close(&format!("{prefix}{name}_feature"), joint);
            self.close(&format!("{prefix}{name}_logits"), logits);
        }
    }
}

#[test]
fn both_branches_equal_the_reference() {
    let case = Case::load();
    let output = case.run(&case.split, None);
    case.check("", &output);
    case.close("close_attention", &output.closed.attention);
    case.close("open_attention", &output.open.attention);
    case.close("decoder", output.reconstruction.as_ref().unwrap());
}

#[test]
fn type_attention_equals_the_reference_with_and_without_dropout() {
    let case = Case::load();
    let plain = case.model.type_attention(&case.tokens, None).unwrap();
    case.close("type_attention", &plain);
    let mask = || Dropout::given([case.inputs["type_attention_dropout_mask"].clone()]);
    let dropped = case.model.type_attention(&case.tokens, Some(&mut mask()));
    case.close("type_attention_with_mask", &dropped.unwrap());
    // The type attention draws first, so the given mask is its own and the rest is left alone.
    let output = case.run(&case.split, Some(&mut mask()));
    case.check("with_mask.", &output);
}

#[test]
fn the_type_classifier_equals_the_reference_and_splits_the_batch() {
    let case = Case::load();
    let gathered = case.kinds.gather(&case.tokens).unwrap();
    case.close("type_attention_question", &gathered);
    let logits = case.kinds.forward(&case.tokens, None).unwrap();
    case.close("type_logits", &logits);
    let mask = case.inputs["type_classifier_dropout_mask"].clone();
    let dropped = case
        .kinds
        .forward(&case.tokens, Some(&mut Dropout::given([mask])));
    case.close("type_logits_with_mask", &dropped.unwrap());
    let split = case.kinds.closed(&case.tokens).unwrap();
    let output = case.run(&split, None);
    case.check("by_classifier.", &output);
    for (key, branch) in [
        ("predicted_close_rows", &output.closed),
        ("predicted_open_rows", &output.open),
    ] {
        let wanted: Vec<i64> = case.wanted[key].to_vec1().unwrap();
        let found: Vec<i64> = branch.rows.iter().map(|row| *row as i64).collect();
        assert_eq!(found, wanted, "{key}");
    }
}

#[test]
fn a_batch_of_one_type_leaves_the_other_branch_empty() {
    let case = Case::load();
    let output = case.run(&[true; 5], None);
    assert_eq!(output.open.logits.dims(), [0, 11]);
    assert_eq!(output.closed.rows, [0, 1, 2, 3, 4]);
    let both = case.run(&case.split, None);
    for (i, row) in both.closed.rows.iter().enumerate() {
        let alone = both.closed.logits.narrow(0, i, 1).unwrap();
        let among = output.closed.logits.narrow(0, *row, 1).unwrap();
        assert_close("closed row", &among, &alone, 1e-6);
    }
}

#[test]
fn a_fresh_model_has_the_published_keys_and_shapes() {
    let shapes = |tensors: Vec<(String, Tensor)>| {
        let mut shapes: Vec<(String, Vec<usize>)> = tensors
            .into_iter()
            .filter(|(key, _)| !key.starts_with("bbn_classifier"))
            .map(|(key, tensor)| (key, tensor.dims().to_vec()))
            .collect();
        shapes.sort();
        shapes
    };
    let fresh = Weights::fresh(3, &Device::Cpu);
    Qcr::load(&fresh, &config()).unwrap();
    let wanted = tensors(FOLDER, "weights.safetensors");
    assert_eq!(
        shapes(fresh.tensors().into_iter().collect()),
        shapes(wanted.into_iter().collect())
    );
    let fresh = Weights::fresh(3, &Device::Cpu);
    let kinds = TypeClassifierConfig {
        question: question(),
        mask_padding: false,
    };
    TypeClassifier::load(&fresh, &kinds).unwrap();
    let wanted = tensors(FOLDER, "type_classifier.safetensors");
    assert_eq!(
        shapes(fresh.tensors().into_iter().collect()),
        shapes(wanted.into_iter().collect())
    );
}
