//! Packed matrices against the plain product.

use super::*;
use crate::Quantisation;

/// Rows, inputs and outputs around tile and panel edges.
const SIZES: &[(usize, usize, usize)] = &[
    (1, 1, 1),
    (1, 7, 48),
    (3, 5, 49),
    (8, 64, 47),
    (9, 33, 96),
    (50, 96, 100),
    (130, 1030, 25),
    (17, 2049, 50),
    (300, 130, 144),
    (20, 100, 130),
];

fn reference(x: &Tensor, w: &Tensor, b: Option<&Tensor>) -> Tensor {
    let wide = |t: &Tensor| t.to_dtype(DType::F64).unwrap();
    let (x, w) = (wide(x), wide(w));
    let b = b.map(wide);
    composed::linear(&x, &w, b.as_ref()).unwrap()
}

#[test]
fn a_packed_matrix_gives_the_plain_product() {
    for (i, &(rows, inputs, outputs)) in SIZES.iter().enumerate() {
        let seed = 10 * i as u64;
        let x = random(seed, &[rows, inputs], 1.0);
        let w = random(seed + 1, &[outputs, inputs], 1.0);
        let b = random(seed + 2, &[outputs], 1.0);
        let add = random(seed + 3, &[rows, outputs], 1.0);
        let packed = Packed::new(&w, None).unwrap();
        assert_eq!(difference(&packed.to_tensor().unwrap(), &w), 0.0);
        let plain = packed.linear(&x, None, After::default()).unwrap();
        assert!(
            difference(&plain, &reference(&x, &w, None)) < 3e-6,
            "{rows} {inputs} {outputs}"
        );
        for function in [None, Some(Activation::QuickGelu), Some(Activation::GeluErf)] {
            let after = After {
                activation: function,
                add: Some(&add),
            };
            let y = packed.linear(&x, Some(&b), after).unwrap();
            let wanted = reference(&x, &w, Some(&b));
            let wanted = match function {
                Some(function) => composed::activation(&wanted, function).unwrap(),
                None => wanted,
            };
            let wanted = (wanted + add.to_dtype(DType::F64).unwrap()).unwrap();
            assert!(difference(&y, &wanted) < 3e-6, "{rows} {inputs} {outputs}");
        }
    }
}

#[test]
fn gradients_pass_a_packed_matrix() {
    for (i, &(rows, inputs, outputs)) in SIZES.iter().enumerate() {
        let seed = 100 + 10 * i as u64;
        let w = random(seed, &[outputs, inputs], 0.3);
        let b = random(seed + 1, &[outputs], 1.0);
        let packed = Packed::new(&w, None).unwrap();
        let inputs = [
            random(seed + 2, &[rows, inputs], 1.0),
            random(seed + 3, &[rows, outputs], 1.0),
        ];
        let wide = |t: &Tensor, like: &Tensor| t.to_dtype(like.dtype()).unwrap();
        agree(
            "packed linear",
            &inputs,
            |t| {
                let after = After {
                    activation: Some(Activation::QuickGelu),
                    add: Some(&t[1]),
                };
                packed.linear(&t[0], Some(&b), after)
            },
            |t| {
                let y = composed::linear(&t[0], &wide(&w, &t[0]), Some(&wide(&b, &t[0])))?;
                Ok((composed::activation(&y, Activation::QuickGelu)? + &t[1])?)
            },
        );
    }
}

#[test]
fn unusual_values_pass_as_in_the_plain_product() {
    let w = random(7, &[60, 40], 1.0);
    let packed = Packed::new(&w, None).unwrap();
    for size in [1e-40, 1e-20, 1e18] {
        let x = random(8, &[11, 40], size);
        let y = packed.linear(&x, None, After::default()).unwrap();
        let wanted = reference(&x, &w, None);
        let scale = f64::from(size);
        let unit = |t: &Tensor| (t.to_dtype(DType::F64).unwrap() / scale).unwrap();
        assert!(difference(&unit(&y), &unit(&wanted)) < 1e-4, "{size}");
    }
    let empty = Tensor::zeros((0, 40), DType::F32, &CPU).unwrap();
    let y = packed.linear(&empty, None, After::default()).unwrap();
    assert_eq!(y.dims(), [0, 60]);
}

#[test]
fn strided_rows_are_made_contiguous_and_wrong_lengths_are_refused() {
    let w = random(9, &[5, 6], 1.0);
    let packed = Packed::new(&w, None).unwrap();
    let x = random(10, &[6, 4], 1.0);
    let y = packed
        .linear(&x.t().unwrap(), None, After::default())
        .unwrap();
    assert!(difference(&y, &reference(&x.t().unwrap(), &w, None)) < 3e-6);
    assert!(packed.linear(&x, None, After::default()).is_err());
    let wrong = random(11, &[4, 4], 1.0);
    let after = After {
        activation: None,
        add: Some(&wrong),
    };
    assert!(packed.linear(&x.t().unwrap(), None, after).is_err());
}

/// The matrix that the codes stand for, worked out apart from the panels: group by group, plainly.
fn worst_step(w: &Tensor, steps: f64) -> Vec<f64> {
    let rows = w.to_vec2::<f32>().unwrap();
    let largest = |g: &[f32]| g.iter().fold(0.0f64, |m, v| m.max(f64::from(v.abs())));
    let groups = rows.iter().flat_map(|row| {
        row.chunks(32)
            .flat_map(move |g| vec![largest(g) / steps; g.len()])
    });
    groups.collect()
}

#[test]
fn a_quantised_matrix_keeps_each_number_to_a_step_and_gives_the_plain_product_of_it() {
    for (i, &(rows, inputs, outputs)) in SIZES.iter().enumerate() {
        let seed = 200 + 10 * i as u64;
        let x = random(seed, &[rows, inputs], 1.0);
        let w = random(seed + 1, &[outputs, inputs], 1.0);
        let b = random(seed + 2, &[outputs], 1.0);
        let add = random(seed + 3, &[rows, outputs], 1.0);
        // Half a step of 127, a step of 8 (where the range lacks a code), and what a bfloat16 scale rounds.
        for (kind, steps) in [(Quantisation::Q8, 250.0), (Quantisation::Q4, 6.0)] {
            let packed = Packed::new(&w, Some(kind)).unwrap();
            let kept = packed.to_tensor().unwrap();
            let of = |t: &Tensor| t.flatten_all().unwrap().to_vec1::<f32>().unwrap();
            for ((kept, w), step) in of(&kept).iter().zip(of(&w)).zip(worst_step(&w, steps)) {
                let off = f64::from((kept - w).abs());
                assert!(off <= step, "{kind}: {w} became {kept}, a step is {step}");
            }
            let after = After {
                activation: Some(Activation::QuickGelu),
                add: Some(&add),
            };
            let y = packed.linear(&x, Some(&b), after).unwrap();
            let wanted = reference(&x, &kept, Some(&b));
            let wanted = composed::activation(&wanted, Activation::QuickGelu).unwrap();
            let wanted = (wanted + add.to_dtype(DType::F64).unwrap()).unwrap();
            let off = difference(&y, &wanted);
            assert!(off < 3e-6, "{kind} {rows} {inputs} {outputs}: {off}");
        }
    }
}

#[test]
fn a_quantised_matrix_takes_the_memory_that_it_says() {
    let w = random(300, &[480, 1024], 1.0);
    let size = |kind| Packed::new(&w, kind).unwrap().size() as f64 / (480.0 * 1024.0);
    assert_eq!(size(None), 4.0);
    assert_eq!(size(Some(Quantisation::Q8)), 1.0 + 2.0 / 32.0);
    assert_eq!(size(Some(Quantisation::Q4)), 0.5 + 2.0 / 32.0);
}

#[test]
fn gradients_pass_a_quantised_matrix() {
    for (i, kind) in [Quantisation::Q8, Quantisation::Q4].into_iter().enumerate() {
        let w = random(310 + i as u64, &[70, 45], 0.3);
        let packed = Packed::new(&w, Some(kind)).unwrap();
        let kept = packed.to_tensor().unwrap();
        let inputs = [random(320, &[19, 45], 1.0)];
        agree(
            "quantised linear",
            &inputs,
            |t| packed.linear(&t[0], None, After::default()),
            |t| composed::linear(&t[0], &kept.to_dtype(t[0].dtype())?, None),
        );
    }
}

#[test]
fn weights_that_are_not_finite_stay_visible_when_quantised() {
    let mut values = vec![0.5f32; 40 * 33];
    values[35] = f32::NAN;
    let w = Tensor::from_vec(values, (40, 33), &CPU).unwrap();
    let x = random(330, &[2, 33], 1.0);
    for kind in [Quantisation::Q8, Quantisation::Q4] {
        let packed = Packed::new(&w, Some(kind)).unwrap();
        let y = packed.linear(&x, None, After::default()).unwrap();
        let y = y.to_vec2::<f32>().unwrap();
        assert!(y[0][1].is_nan(), "the output with the broken weight");
        assert!(y[0][0].is_finite() && y[0][2].is_finite(), "the others");
    }
}
