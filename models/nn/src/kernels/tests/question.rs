//! Recurrences, weight normalisation, tables, masks and the binary cross-entropy.

use super::*;

#[test]
fn recurrences_agree_with_their_steps_written_out() {
    for cell in [Cell::Lstm, Cell::Gru] {
        for (b, t, h) in [(1, 1, 1), (2, 3, 5), (3, 12, 17), (5, 4, 16), (2, 7, 33)] {
            let wide = cell.gates() * h;
            agree(
                &format!("{cell:?} of {h} over {b}×{t}"),
                &[
                    random(1, &[b, t, wide], 0.7),
                    random(2, &[wide, h], 0.3),
                    random(3, &[wide], 0.3),
                ],
                |x| recurrent(&x[0], &x[1], &x[2], cell),
                |x| composed::recurrent(&x[0], &x[1], &x[2], cell),
            );
        }
    }
}

#[test]
fn a_recurrence_is_as_sensitive_as_its_gradient_says() {
    for cell in [Cell::Lstm, Cell::Gru] {
        let (b, t, h) = (2, 5, 3);
        let wide = cell.gates() * h;
        let (x, w) = (random(1, &[b, t, wide], 0.7), random(2, &[wide, h], 0.4));
        let bias = random(3, &[wide], 0.3);
        let weight = random(4, &[b, t, h], 1.0);
        let loss = |x: &Tensor, w: &Tensor| {
            let y = recurrent(x, w, &bias, cell).unwrap();
            (y * &weight).unwrap().sum_all().unwrap()
        };
        let var = Var::from_tensor(&w).unwrap();
        let gradients = loss(&x, &var).backward().unwrap();
        let direction = random(5, &[wide, h], 1.0);
        let step = 1e-2;
        let at = |size: f64| -> f32 {
            let moved = (&w + (&direction * size).unwrap()).unwrap();
            loss(&x, &moved).to_scalar().unwrap()
        };
        let difference = (at(step) - at(-step)) / (2.0 * step as f32);
        let product = (gradients.get(&var).unwrap() * &direction).unwrap();
        let slope: f32 = product.sum_all().unwrap().to_scalar().unwrap();
        assert!(
            (slope - difference).abs() < 2e-3 * slope.abs().max(1.0),
            "{cell:?}: slope {slope}, difference {difference}"
        );
    }
}

#[test]
fn weight_normalisation_agrees() {
    for shape in [[1, 1], [3, 5], [65, 300], [129, 517]] {
        agree(
            &format!("weight norm of {shape:?}"),
            &[random(1, &shape, 0.5), random(2, &[], 2.0)],
            |t| weight_norm(&t[0], &t[1]),
            |t| composed::weight_norm(&t[0], &t[1]),
        );
    }
}

#[test]
fn rows_of_a_table_agree_and_padding_gets_no_gradient() {
    let ids = vec![3u32, 0, 4, 3, 3, 1];
    for padding in [None, Some(3), Some(4)] {
        agree(
            &format!("table with padding {padding:?}"),
            &[random(1, &[5, 7], 1.0)],
            |t| lookup(&t[0], ids.clone(), padding),
            |t| composed::lookup(&t[0], ids.clone(), padding),
        );
    }
    let table = Var::from_tensor(&random(1, &[5, 7], 1.0)).unwrap();
    let y = lookup(&table, ids, Some(3)).unwrap();
    let gradient = y.sum_all().unwrap().backward().unwrap();
    let rows = gradient.get(&table).unwrap().to_vec2::<f32>().unwrap();
    assert_eq!(rows[3], [0.0; 7], "the padding row moves");
    assert_eq!(rows[4], [1.0; 7]);
}

#[test]
fn masks_agree() {
    let mask: Vec<f32> = (0..35).map(|i| (i % 3) as f32).collect();
    agree(
        "mask",
        &[random(1, &[5, 7], 1.0)],
        |t| super::mask(&t[0], mask.clone()),
        |t| composed::mask(&t[0], mask.clone()),
    );
}

#[test]
fn binary_cross_entropy_agrees_and_is_finite_far_out() {
    let targets: Vec<f32> = (0..18).map(|i| [0.0, 1.0, 0.3][i % 3]).collect();
    let targets = Tensor::from_vec(targets, (3, 6), &CPU).unwrap();
    agree(
        "binary cross-entropy",
        &[random(1, &[3, 6], 3.0)],
        |t| bce_with_logits(&t[0], &targets),
        |t| composed::bce_with_logits(&t[0], &targets.to_dtype(DType::F64).unwrap()),
    );
    let far = Tensor::new(&[200f32, -200.0], &CPU).unwrap();
    let right = Tensor::new(&[0f32, 1.0], &CPU).unwrap();
    let loss: f32 = bce_with_logits(&far, &right).unwrap().to_scalar().unwrap();
    assert_eq!(loss, 400.0);
}
