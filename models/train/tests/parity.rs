//! Losses, gradients and metrics against `tests/vectors/losses` (PyTorch formulas and scikit-learn 1.9.1).

#![allow(clippy::unwrap_used)] // a failed unwrap is a failed test

use std::collections::HashMap;
use std::path::PathBuf;

use candle_core::{DType, Device, Tensor, Var};
use lucency_train::losses;
use lucency_train::metrics as m;

type Tensors = HashMap<String, Tensor>;

fn load(name: &str) -> Tensors {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("../../tests/vectors/losses")
        .join(name);
    candle_core::safetensors::load(path, &Device::Cpu).unwrap()
}

fn values(tensor: &Tensor) -> Vec<f64> {
    tensor
        .to_dtype(DType::F64)
        .unwrap()
        .flatten_all()
        .unwrap()
        .to_vec1()
        .unwrap()
}

fn rows(tensor: &Tensor) -> Vec<Vec<f64>> {
    tensor.to_dtype(DType::F64).unwrap().to_vec2().unwrap()
}

fn var(inputs: &Tensors, name: &str) -> Var {
    Var::from_tensor(&inputs[name]).unwrap()
}

/// Compares a loss at 1e-5 relative and its gradients at 1e-5 of their largest entry.
fn check(outputs: &Tensors, name: &str, loss: &Tensor, vars: &[(&str, &Var)]) {
    let wanted = values(&outputs[name])[0];
    let found = values(loss)[0];
    assert!(
        (found - wanted).abs() <= 1e-5 * wanted.abs(),
        "{name} is {found}, the reference {wanted}"
    );
    let grads = loss.backward().unwrap();
    for (key, var) in vars {
        let full = format!("{name}.grad.{key}");
        let wanted = values(&outputs[&full]);
        let found = values(grads.get(var.as_tensor()).expect("a gradient"));
        let largest = wanted.iter().fold(0f64, |a, v| a.max(v.abs()));
        for (w, f) in wanted.iter().zip(&found) {
            assert!(
                (w - f).abs() <= 1e-5 * largest,
                "{full}: {f}, the reference {w}"
            );
        }
    }
}

#[test]
fn infonce_matches_the_reference_with_its_gradients() {
    let (inputs, outputs) = (load("inputs.safetensors"), load("outputs.safetensors"));
    let (img, txt, scale) = (
        var(&inputs, "img"),
        var(&inputs, "txt"),
        var(&inputs, "logit_scale"),
    );
    let vars = [("img", &img), ("txt", &txt), ("logit_scale", &scale)];
    let mean = losses::infonce(&img, &txt, &scale).unwrap();
    check(&outputs, "infonce_clip_mean", &mean, &vars);
    check(&outputs, "infonce_cleft_sum", &(mean * 2.0).unwrap(), &vars);
}

#[test]
fn multi_positive_infonce_with_one_positive_a_row_is_infonce() {
    let (inputs, outputs) = (load("inputs.safetensors"), load("outputs.safetensors"));
    let (img, txt, scale) = (
        var(&inputs, "img"),
        var(&inputs, "txt"),
        var(&inputs, "logit_scale"),
    );
    let logits = losses::similarity(&img, &txt, &scale).unwrap();
    let n = logits.dims()[0];
    let identity: Vec<f32> = (0..n * n)
        .map(|k| f32::from(u8::from(k / n == k % n)))
        .collect();
    let loss = losses::multi_positive_infonce(&logits, &identity).unwrap();
    check(
        &outputs,
        "infonce_clip_mean",
        &loss,
        &[("img", &img), ("txt", &txt), ("logit_scale", &scale)],
    );
}

#[test]
fn siglip_matches_the_reference_with_its_gradients() {
    let (inputs, outputs) = (load("inputs.safetensors"), load("outputs.safetensors"));
    let (img, txt) = (var(&inputs, "img"), var(&inputs, "txt"));
    let (scale, bias) = (
        var(&inputs, "siglip_logit_scale"),
        var(&inputs, "siglip_bias"),
    );
    let loss = losses::siglip(&img, &txt, &scale, &bias).unwrap();
    check(
        &outputs,
        "siglip",
        &loss,
        &[
            ("img", &img),
            ("txt", &txt),
            ("siglip_logit_scale", &scale),
            ("siglip_bias", &bias),
        ],
    );
}

#[test]
fn simclr_and_slip_match_the_reference_with_their_gradients() {
    let (inputs, outputs) = (load("inputs.safetensors"), load("outputs.safetensors"));
    let (img, view2) = (var(&inputs, "img"), var(&inputs, "img_view2"));
    let (txt, scale) = (var(&inputs, "txt"), var(&inputs, "logit_scale"));
    let ssl = losses::nt_xent(&img, &view2, 0.1).unwrap();
    check(
        &outputs,
        "simclr_ntxent_tau0.1",
        &ssl,
        &[("img", &img), ("img_view2", &view2)],
    );
    let slip = losses::slip(&img, &txt, &scale, (&img, &view2), 0.1, 1.0).unwrap();
    check(
        &outputs,
        "slip_total",
        &slip,
        &[("img", &img), ("txt", &txt)],
    );
}

#[test]
fn metrics_match_scikit_learn() {
    let (inputs, outputs) = (load("inputs.safetensors"), load("outputs.safetensors"));
    let expect = |name: &str, found: f64| {
        let wanted = values(&outputs[&format!("metric.{name}")])[0];
        assert!(
            (found - wanted).abs() < 1e-6,
            "{name} is {found}, scikit-learn says {wanted}"
        );
    };
    let flags = |t: &Tensor| -> Vec<bool> { values(t).iter().map(|v| *v > 0.5).collect() };
    let score = values(&inputs["metric.binary_score"]);
    let label = flags(&inputs["metric.binary_label"]);
    expect("auroc_binary", m::auroc(&score, &label).unwrap());
    expect(
        "average_precision_binary",
        m::average_precision(&score, &label).unwrap(),
    );
    expect("brier_binary", m::brier_binary(&score, &label).unwrap());
    expect(
        "log_loss_binary",
        m::log_loss_binary(&score, &label).unwrap(),
    );
    expect(
        "ece15_binary_positive_probability",
        m::ece(&score, &label).unwrap(),
    );
    let table = m::Confusion::at(0.5, &score, &label).unwrap();
    expect("accuracy_binary_at_0.5", table.accuracy());
    expect("f1_binary_at_0.5", table.f1());
    expect("sensitivity_at_0.5", table.sensitivity());
    expect("specificity_at_0.5", table.specificity());

    let multi_score = rows(&inputs["metric.multi_score"]);
    let multi_label: Vec<Vec<bool>> = rows(&inputs["metric.multi_label"])
        .iter()
        .map(|row| row.iter().map(|v| *v > 0.5).collect())
        .collect();
    expect(
        "auroc_multilabel_macro",
        m::macro_auroc(&multi_score, &multi_label).unwrap(),
    );
    expect(
        "auroc_multilabel_micro",
        m::auroc_micro(&multi_score, &multi_label).unwrap(),
    );

    let mut prob = rows(&inputs["metric.class_prob"]);
    for row in &mut prob {
        let sum: f64 = row.iter().sum();
        row.iter_mut().for_each(|p| *p /= sum);
    }
    let class: Vec<usize> = values(&inputs["metric.class_label"])
        .iter()
        .map(|v| *v as usize)
        .collect();
    expect("accuracy_multiclass", m::accuracy(&prob, &class).unwrap());
    expect(
        "balanced_accuracy_multiclass",
        m::balanced_accuracy(&prob, &class).unwrap(),
    );
    expect("macro_f1_multiclass", m::macro_f1(&prob, &class).unwrap());
    expect(
        "top2_accuracy_multiclass",
        m::top_k_accuracy(2, &prob, &class).unwrap(),
    );
    expect(
        "auroc_multiclass_ovr_macro",
        m::multiclass_auroc_ovr(&prob, &class).unwrap(),
    );
    expect(
        "auroc_multiclass_ovo_macro",
        m::multiclass_auroc_ovo(&prob, &class).unwrap(),
    );
    expect(
        "brier_multiclass_sum_over_classes",
        m::brier_multiclass(&prob, &class).unwrap(),
    );
    let (confidence, right): (Vec<f64>, Vec<bool>) = prob
        .iter()
        .zip(&class)
        .map(|(row, label)| (row[m::argmax(row)], m::argmax(row) == *label))
        .unzip();
    expect(
        "ece15_multiclass_top_label",
        m::ece(&confidence, &right).unwrap(),
    );

    let similarity = rows(&inputs["metric.similarity"]);
    let transposed: Vec<Vec<f64>> = (0..similarity.len())
        .map(|j| similarity.iter().map(|row| row[j]).collect())
        .collect();
    let by_image = m::ranks(&similarity).unwrap();
    let by_text = m::ranks(&transposed).unwrap();
    for k in [1, 5, 10] {
        expect(
            &format!("recall@{k}_image_to_text"),
            m::recall_at_k(k, &by_image),
        );
        expect(
            &format!("recall@{k}_text_to_image"),
            m::recall_at_k(k, &by_text),
        );
    }
    expect("median_rank_image_to_text", m::median_rank(&by_image));
}
