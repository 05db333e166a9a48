//! A CLIP elsewhere than on the processor with its fused kernels: the same results within what the numbers allow, in tensors of the
//! processor, with gradients that find the way back.

use candle_core::{DType, Device, Tensor, Var};
use lucency_nn::{Mode, Place, Precision, Weights};
use lucency_zoo::clip::{Clip, ClipConfig, KeyLayout};
use lucency_zoo::dino::Dino;

use crate::clip_fresh::{all, batch, vit};

fn at(place: &Place, config: &ClipConfig) -> Clip {
    let weights = Weights::fresh(7, &place.device).in_precision(place.precision);
    Clip::load(&weights, config).unwrap()
}

fn elsewhere(precision: Precision) -> Place {
    Place {
        device: Device::Cpu,
        precision,
    }
}

fn apart(a: &Tensor, b: &Tensor) -> f32 {
    let largest = |t: &Tensor| t.abs().unwrap().flatten_all().unwrap().max(0).unwrap();
    let largest = |t: &Tensor| largest(t).to_scalar::<f32>().unwrap();
    largest(&(a - b).unwrap()) / largest(b)
}

#[test]
fn both_towers_give_the_processors_results_wherever_they_are() {
    let (pixels, ids) = batch();
    for config in all() {
        let here = at(&Place::processor(), &config);
        for (precision, tolerance) in [
            (Precision::F64, 1e-4),
            (Precision::F16, 2e-2),
            (Precision::Bf16, 1e-1),
        ] {
            let there = at(&elsewhere(precision), &config);
            let pairs = [
                (
                    there.embed_images(&pixels, Mode::Eval).unwrap(),
                    here.embed_images(&pixels, Mode::Eval).unwrap(),
                ),
                (
                    there.embed_texts(&ids).unwrap(),
                    here.embed_texts(&ids).unwrap(),
                ),
                (
                    there.trunk(&pixels, Mode::Eval).unwrap().hidden,
                    here.trunk(&pixels, Mode::Eval).unwrap().hidden,
                ),
            ];
            for (found, wanted) in pairs {
                assert_eq!(found.dtype(), DType::F32, "what leaves a tower is f32");
                let apart = apart(&found, &wanted);
                assert!(apart < tolerance, "{precision:?}: {apart}");
            }
        }
    }
}

#[test]
fn gradients_find_the_way_through_a_tower_in_other_numbers() {
    let config = vit(KeyLayout::HuggingFace);
    let (pixels, _) = batch();
    let slope = |place: &Place| {
        let clip = at(place, &config);
        let pixels = Var::from_tensor(&pixels).unwrap();
        let trunk = clip.trunk(pixels.as_tensor(), Mode::Eval).unwrap();
        let y = clip.head(&trunk.hidden, Mode::Eval).unwrap();
        let gradients = y.sqr().unwrap().sum_all().unwrap().backward().unwrap();
        gradients.get(pixels.as_tensor()).unwrap().clone()
    };
    let apart = apart(
        &slope(&elsewhere(Precision::F64)),
        &slope(&Place::processor()),
    );
    assert!(apart < 1e-4, "{apart}");
}

#[test]
fn dinov2_gives_the_processors_results_and_gradients_wherever_it_is() {
    let run = |precision: Precision| {
        let weights = Weights::fresh(7, &Device::Cpu).in_precision(precision);
        let tower = Dino::load(&weights, &crate::dino::config()).unwrap();
        let pixels = Var::from_tensor(&crate::dino::inputs()["image56x84"]).unwrap();
        let y = tower.encode(pixels.as_tensor()).unwrap();
        let cube = (y.sqr().unwrap() * &y).unwrap().sum_all().unwrap();
        let slope = cube
            .backward()
            .unwrap()
            .get(pixels.as_tensor())
            .unwrap()
            .clone();
        let patches = tower.features(&pixels).unwrap().patches;
        let whole = tower.head(&tower.trunk(&pixels).unwrap()).unwrap();
        [y, patches, whole, slope].map(|t| t.detach())
    };
    let here = run(Precision::F32);
    for (precision, tolerance) in [
        (Precision::F64, 1e-4),
        (Precision::F16, 2e-2),
        (Precision::Bf16, 1e-1),
    ] {
        // Gradients fall below the range of 16-bit numbers.
        let compared = if precision == Precision::F64 { 4 } else { 3 };
        for (found, wanted) in run(precision).iter().zip(&here).take(compared) {
            assert_eq!(found.dtype(), DType::F32, "what leaves a tower is f32");
            let apart = apart(found, wanted);
            assert!(apart < tolerance, "{precision:?}: {apart}");
        }
    }
}
