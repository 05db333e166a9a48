//! The display pipeline against vectors that an independent script wrote.

mod common;

use lucency_study::display::to_byte;
use lucency_study::{Lut, ModalityTransform, Polarity, Voi, VoiFunction, Window};
use serde_json::Value;

fn number(value: &Value) -> f64 {
    value.as_f64().expect("a number")
}

fn lut(spec: &Value) -> Lut {
    let values = spec["values"].as_array().expect("values");
    let values = values.iter().map(|v| v.as_u64().expect("entry") as u16);
    let first = spec["first"].as_i64().expect("first");
    let bits = spec["bits"].as_u64().expect("bits") as u16;
    Lut::new(first, bits, values.collect()).expect("a valid table")
}

fn modality(spec: &Value) -> ModalityTransform {
    match spec["kind"].as_str() {
        Some("identity") => ModalityTransform::Identity,
        Some("rescale") => ModalityTransform::Rescale {
            slope: number(&spec["slope"]),
            intercept: number(&spec["intercept"]),
        },
        _ => ModalityTransform::Lut(lut(spec)),
    }
}

fn voi(spec: &Value) -> Voi {
    if spec["kind"] == "lut" {
        return Voi::Lut(lut(spec));
    }
    Voi::Window(Window {
        center: number(&spec["center"]),
        width: number(&spec["width"]),
        function: match spec["function"].as_str() {
            Some("LINEAR_EXACT") => VoiFunction::LinearExact,
            Some("SIGMOID") => VoiFunction::Sigmoid,
            _ => VoiFunction::Linear,
        },
    })
}

#[test]
fn display_arithmetic_equals_the_shared_vectors_to_the_bit() {
    let file = common::vectors("display/vectors.json");
    let cases = file["cases"].as_array().expect("cases");
    assert!(cases.len() >= 60, "the file has lost cases");
    for case in cases {
        let (modality, voi) = (modality(&case["modality"]), voi(&case["voi"]));
        let polarity = match case["inverted"].as_bool() {
            Some(true) => Polarity::Inverted,
            _ => Polarity::Normal,
        };
        let stored = case["stored"].as_array().expect("stored");
        let expected = case["expected"].as_array().expect("expected");
        for (stored, expected) in stored.iter().zip(expected) {
            let value = number(stored);
            let byte = to_byte(polarity.apply(voi.apply(modality.apply(value))));
            let wanted = expected.as_u64().expect("a byte");
            assert_eq!(u64::from(byte), wanted, "{} at {value}", case["name"]);
        }
    }
}

#[test]
fn what_is_not_a_number_shows_as_black() {
    assert_eq!(to_byte(f64::NAN), 0);
    assert_eq!(to_byte(f64::INFINITY), 255);
    assert_eq!(to_byte(f64::NEG_INFINITY), 0);
}
