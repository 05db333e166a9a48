use crate::{assert_close, tensors, vector};
use candle_core::{Device, IndexOp, Tensor};
use lucency_nn::{Mode, Weights};
use lucency_zoo::clip::{self, Clip, ClipConfig};
use lucency_zoo::vqa::{
    Fusion, Mevf, MevfConfig, MevfOutput, QuestionConfig, Rnn, VisualBatch, VisualConfig,
};
use std::collections::HashMap;

type Tensors = HashMap<String, Tensor>;

pub fn tokens(question: &Tensor) -> Vec<Vec<u32>> {
    let rows: Vec<Vec<i64>> = question.to_vec2().unwrap();
    rows.into_iter()
        .map(|row| row.into_iter().map(|id| id as u32).collect())
        .collect()
}

fn config(fusion: Fusion, rnn: Rnn, glimpses: usize, visual: VisualConfig) -> MevfConfig {
    MevfConfig {
        question: QuestionConfig {
            words: 20,
            length: 12,
            word_dim: 300,
            concatenated: true,
            rnn,
            hidden: 16,
        },
        visual,
        fusion,
        glimpses,
        hidden: 16,
        answers: 17,
        mask_padding: false,
        dropout: 0.5,
    }
}

fn visual(maml: bool, clip_dim: Option<usize>) -> VisualConfig {
    VisualConfig {
        maml,
        ae_side: Some(16),
        clip_dim,
    }
}

struct Case {
    model: Mevf,
    batch: VisualBatch,
    inputs: Tensors,
    wanted: Tensors,
}

impl Case {
    fn load(folder: &str, config: &MevfConfig) -> Self {
        let weights = Weights::open(&vector(folder, "weights.safetensors"), &Device::Cpu).unwrap();
        let inputs = tensors(folder, "inputs.safetensors");
        let clip = inputs.get("clip_image").map(|image| {
            let prefix = weights.pp("clip_v_emb");
            let config = ClipConfig::infer_from_openai_keys(&clip::shapes(&prefix)).unwrap();
            let clip = Clip::load(&prefix, &config).unwrap();
            clip.encode_image(image, Mode::Eval).unwrap()
        });
        Self {
            model: Mevf::load(&weights, config).unwrap(),
            batch: VisualBatch {
                maml: inputs.get("maml_image").cloned(),
                ae: inputs.get("ae_image").cloned(),
                clip,
            },
            wanted: tensors(folder, "outputs.safetensors"),
            inputs,
        }
    }

    fn tokens(&self) -> Vec<Vec<u32>> {
        tokens(&self.inputs["question"])
    }

    fn run(&self) -> MevfOutput {
        self.model
            .forward(&self.batch, &self.tokens(), Mode::Eval, None)
            .unwrap()
    }

    fn close(&self, key: &str, found: &Tensor) {
        assert_close(key, found, &self.wanted[key], 1e-5);
    }

    fn check_output(&self) {
        let output = self.run();
        self.close("joint_feature", &output.joint);
        self.close("logits", &output.logits);
        self.close("decoder", output.reconstruction.as_ref().unwrap());
        let features = self.model.encode_visual(&self.batch, Mode::Eval).unwrap();
        let again = self
            .model
            .forward_from_features(&features, &self.tokens(), None)
            .unwrap();
        assert_close("cached", &again.logits, &output.logits, 0.0);
        assert!(again.reconstruction.is_none());
        // Alone, each case is answered as in the batch, but for the order of sums.
        for i in 0..3 {
            let one = self
                .model
                .forward_from_features(
                    &features.narrow(0, i, 1).unwrap(),
                    &self.tokens()[i..=i],
                    None,
                )
                .unwrap();
            let wanted = output.logits.narrow(0, i, 1).unwrap();
            assert_close("single", &one.logits, &wanted, 3e-6);
        }
    }

    fn check_ban(&self) {
        self.check_output();
        let (output, tokens) = (self.run(), self.tokens());
        self.close("attention", &output.attention);
        let states = self.model.read(&tokens).unwrap();
        self.close("question_embedding", &states);
        let (attention, residual) = self.model.bilinear().unwrap();
        let features = self.model.encode_visual(&self.batch, Mode::Eval).unwrap();
        let objects = features.unsqueeze(1).unwrap();
        let found = attention.forward(&objects, &states, None, None).unwrap();
        self.close("attention_logits", &found.logits);
        let objects = &self.inputs["multi_objects"];
        let found = attention.forward(objects, &states, None, None).unwrap();
        self.close("multi_object_attention", &found.weights);
        let pooled = residual
            .pool(0)
            .unwrap()
            .forward(objects, &states, &found.weights.i((.., 0)).unwrap(), None)
            .unwrap();
        self.close("multi_object_bilinear", &pooled);
    }
}

#[test]
fn bilinear_mevf_equals_the_reference() {
    let case = Case::load(
        "mevf-ban",
        &config(Fusion::Ban, Rnn::Lstm, 2, visual(true, None)),
    );
    case.check_ban();
    let features = case.model.encode_visual(&case.batch, Mode::Eval).unwrap();
    case.close("maml_embedding", &features.narrow(1, 0, 64).unwrap());
}

#[test]
fn bilinear_mevf_with_clip_equals_the_reference() {
    let visual = visual(false, Some(24));
    let case = Case::load("mevf-ban-clip", &config(Fusion::Ban, Rnn::Gru, 3, visual));
    case.check_ban();
    let features = case.model.encode_visual(&case.batch, Mode::Eval).unwrap();
    case.close("clip_embedding", &features.narrow(1, 0, 24).unwrap());
}

#[test]
fn stacked_mevf_equals_the_reference() {
    let case = Case::load(
        "mevf-san",
        &config(Fusion::San, Rnn::Lstm, 2, visual(false, None)),
    );
    case.check_output();
    let states = case.model.read(&case.tokens()).unwrap();
    let last = states.i((.., 11)).unwrap();
    case.close("question_embedding", &last);
    let features = case.model.encode_visual(&case.batch, Mode::Eval).unwrap();
    case.close("visual_embedding", &features.unsqueeze(1).unwrap());
    let objects = &case.inputs["multi_objects"];
    let (attended, maps) = case
        .model
        .stacked()
        .unwrap()
        .forward(objects, &last, None)
        .unwrap();
    case.close("multi_object_attended", &attended);
    for row in maps.flatten_to(1).unwrap().to_vec2::<f32>().unwrap() {
        assert!(
            (row.iter().sum::<f32>() - 1.0).abs() < 1e-6,
            "weights {row:?}"
        );
    }
}

#[test]
fn masked_padding_gets_no_attention_and_does_not_change_the_answer() {
    for (folder, fusion, rnn, glimpses, visual) in [
        ("mevf-ban", Fusion::Ban, Rnn::Lstm, 2, visual(true, None)),
        ("mevf-san", Fusion::San, Rnn::Lstm, 2, visual(false, None)),
    ] {
        let masked = MevfConfig {
            mask_padding: true,
            ..config(fusion, rnn, glimpses, visual)
        };
        let case = Case::load(folder, &masked);
        let features = case.model.encode_visual(&case.batch, Mode::Eval).unwrap();
        let one = features.narrow(0, 0, 1).unwrap();
        let question = |words: &[u32]| {
            let mut row = words.to_vec();
            row.resize(12, 20);
            vec![row]
        };
        let whole = case
            .model
            .forward_from_features(&one, &question(&[3, 5, 7]), None)
            .unwrap();
        if fusion == Fusion::Ban {
            let late = whole.attention.narrow(3, 3, 9).unwrap().sum_all().unwrap();
            assert_eq!(late.to_scalar::<f32>().unwrap(), 0.0, "padding has weight");
        }
        // A shorter model answers the same: padding takes no part.
        let weights = Weights::open(&vector(folder, "weights.safetensors"), &Device::Cpu).unwrap();
        let mut short = masked.clone();
        short.question.length = 3;
        let short = Mevf::load(&weights, &short).unwrap();
        let answer = short
            .forward_from_features(&one, &[vec![3, 5, 7]], None)
            .unwrap();
        assert_close(folder, &whole.logits, &answer.logits, 1e-6);
        let empty = case
            .model
            .forward_from_features(&one, &question(&[]), None)
            .unwrap();
        let values: Vec<f32> = empty.logits.flatten_all().unwrap().to_vec1().unwrap();
        assert!(values.iter().all(|v| v.is_finite()), "an empty question");
    }
}

#[test]
fn a_missing_image_and_an_unknown_word_are_errors() {
    let case = Case::load(
        "mevf-ban",
        &config(Fusion::Ban, Rnn::Lstm, 2, visual(true, None)),
    );
    let blind = VisualBatch {
        ae: None,
        ..case.batch.clone()
    };
    let error = case
        .model
        .forward(&blind, &case.tokens(), Mode::Eval, None)
        .unwrap_err();
    assert!(error.to_string().contains("auto-encoder"), "{error}");
    let mut strange = case.tokens();
    strange[1][4] = 21;
    let error = case
        .model
        .forward(&case.batch, &strange, Mode::Eval, None)
        .unwrap_err();
    assert!(error.to_string().contains("21"), "{error}");
    strange[1].pop();
    let error = case
        .model
        .forward(&case.batch, &strange, Mode::Eval, None)
        .unwrap_err();
    assert!(error.to_string().contains("11 tokens"), "{error}");
}

#[test]
fn a_fresh_model_has_the_published_keys_and_shapes() {
    for (folder, config) in [
        (
            "mevf-ban",
            config(Fusion::Ban, Rnn::Lstm, 2, visual(true, None)),
        ),
        (
            "mevf-san",
            config(Fusion::San, Rnn::Lstm, 2, visual(false, None)),
        ),
    ] {
        let weights = Weights::fresh(3, &Device::Cpu);
        Mevf::load(&weights, &config).unwrap();
        let found: Vec<(String, Vec<usize>)> = weights
            .tensors()
            .into_iter()
            .map(|(key, tensor)| (key, tensor.dims().to_vec()))
            .collect();
        let mut wanted: Vec<(String, Vec<usize>)> = tensors(folder, "weights.safetensors")
            .into_iter()
            .filter(|(key, _)| !key.ends_with("num_batches_tracked"))
            .map(|(key, tensor)| (key, tensor.dims().to_vec()))
            .collect();
        wanted.sort();
        assert_eq!(found, wanted, "{folder}");
        let drawn = weights.tensors();
        let last: Vec<f32> = drawn["w_emb.emb.weight"].i(20).unwrap().to_vec1().unwrap();
        assert!(last.iter().all(|v| *v == 0.0), "padding starts at zero");
        let (g, v) = (
            &drawn["classifier.main.0.weight_g"],
            &drawn["classifier.main.0.weight_v"],
        );
        let length = v.sqr().unwrap().sum_all().unwrap().sqrt().unwrap();
        assert_close("length", g, &length, 1e-5);
    }
}
