//! What follows convolutions, their transposes, and maxima.

use super::*;

#[test]
fn bias_relu_and_maximum_behind_a_convolution_agree() {
    for (b, c, o, h, w, k, stride, padding) in [
        (2, 1, 9, 8, 8, 3, 1, 1),
        (3, 5, 1, 7, 9, 3, 1, 1),
        (1, 4, 17, 9, 11, 3, 1, 1),
        (2, 3, 5, 13, 11, 3, 2, 1),
        (2, 6, 3, 6, 6, 1, 1, 0),
        (4, 2, 3, 5, 4, 3, 1, 0),
        (2, 1, 8, 40, 300, 3, 1, 1),
    ] {
        for then in [Then::Nothing, Then::Relu, Then::ReluPool] {
            let what = format!("{c}→{o} {k}×{k} stride {stride} on {b}×{h}×{w}, {then:?}");
            let inputs = [
                random(1, &[b, c, h, w], 1.0),
                random(2, &[o, c, k, k], 0.2),
                random(3, &[o], 0.5),
            ];
            agree(
                &what,
                &inputs,
                |t| conv2d(&t[0], &t[1], Some(&t[2]), stride, padding, then),
                |t| composed::conv2d(&t[0], &t[1], Some(&t[2]), stride, padding, then),
            );
        }
    }
}

/// The transpose by its definition: `<convT(x), y> = <x, conv(y)>`, so its gradients are those of a convolution.
#[test]
fn a_transposed_convolution_is_the_transpose() {
    for (b, c, o, h, k, stride, padding, extra) in [
        (2, 3, 5, 4, 3, 2, 1, 1),
        (3, 4, 9, 5, 3, 2, 1, 0),
        (1, 2, 3, 6, 4, 2, 1, 0),
        (2, 2, 3, 3, 5, 3, 1, 2),
        (2, 3, 2, 4, 2, 3, 0, 1),
        (2, 3, 4, 5, 3, 1, 1, 0),
        (2, 3, 2, 5, 1, 1, 0, 0),
    ] {
        let what = format!("{c}→{o} {k}×{k} stride {stride} padding {padding} extra {extra}");
        let (x, w) = (
            random(1, &[b, c, h, h + 1], 1.0),
            random(2, &[c, o, k, k], 0.3),
        );
        let bias = random(3, &[o], 0.5);
        for follow in [Follow::Nothing, Follow::Relu] {
            let run = |x: &Tensor, w: &Tensor, bias: &Tensor| {
                conv_transpose2d(x, w, bias, stride, padding, extra, follow).unwrap()
            };
            let y = run(&x, &w, &bias);
            let stock =
                composed::conv_transpose2d(&x, &w, &bias, stride, padding, extra, follow).unwrap();
            assert!(difference(&y, &stock) < 2e-6, "{what} {follow:?}: values");
            let vars: Vec<Var> = [&x, &w, &bias]
                .iter()
                .map(|t| Var::from_tensor(t).unwrap())
                .collect();
            let g = random(4, y.dims(), 1.0);
            let y = run(&vars[0], &vars[1], &vars[2]);
            let gradients = (&y * &g).unwrap().sum_all().unwrap().backward().unwrap();
            // What reaches the sums, by hand.
            let g = match follow {
                Follow::Nothing => g,
                Follow::Relu => (&g * y.gt(0f32).unwrap().to_dtype(DType::F32).unwrap()).unwrap(),
            };
            let by_x = composed::conv2d(&g, &w, None, stride, padding, Then::Nothing).unwrap();
            let by_x = by_x.narrow(2, 0, h).unwrap().narrow(3, 0, h + 1).unwrap();
            let gap = difference(gradients.get(&vars[0]).unwrap(), &by_x);
            assert!(gap < 6e-6, "{what} {follow:?}: input {gap:e}");
            let by_bias = g.sum((0, 2, 3)).unwrap();
            let gap = difference(gradients.get(&vars[2]).unwrap(), &by_bias);
            assert!(gap < 6e-6, "{what} {follow:?}: bias {gap:e}");
            // Linear in the weight: <convT(x; dw), g> = <dw, gradient>.
            let dw = random(5, &[c, o, k, k], 1.0);
            let none = Tensor::zeros(o, DType::F32, &CPU).unwrap();
            let moved =
                composed::conv_transpose2d(&x, &dw, &none, stride, padding, extra, Follow::Nothing)
                    .unwrap();
            let dot = |a: &Tensor, b: &Tensor| -> f32 {
                (a * b).unwrap().sum_all().unwrap().to_scalar().unwrap()
            };
            let (wanted, found) = (dot(&moved, &g), dot(&dw, gradients.get(&vars[1]).unwrap()));
            assert!(
                (wanted - found).abs() < 1e-4 * wanted.abs().max(10.0),
                "{what} {follow:?}: weight {found}, wanted {wanted}"
            );
        }
    }
}

#[test]
fn maxima_agree_and_overlap() {
    for (h, w, kernel, stride) in [
        (8, 8, 2, 2),
        (7, 9, 2, 2),
        (9, 7, 3, 2),
        (5, 6, 3, 1),
        (4, 4, 1, 1),
    ] {
        agree(
            &format!("{kernel}×{kernel} every {stride} on {h}×{w}"),
            &[random(1, &[2, 3, h, w], 1.0)],
            |t| max_pool2d(&t[0], kernel, stride),
            |t| composed::max_pool2d(&t[0], kernel, stride),
        );
    }
}

#[test]
fn of_equal_values_the_first_gets_the_gradient() {
    let x = Var::from_tensor(&Tensor::ones((1, 1, 4, 4), DType::F32, &CPU).unwrap()).unwrap();
    let y = max_pool2d(&x, 2, 2).unwrap();
    let gradient = y
        .backward()
        .unwrap()
        .get(&x)
        .unwrap()
        .flatten_all()
        .unwrap();
    let wanted: Vec<f32> = (0..16)
        .map(|i| f32::from(u8::from([0, 2, 8, 10].contains(&i))))
        .collect();
    assert_eq!(gradient.to_vec1::<f32>().unwrap(), wanted);
}

#[test]
fn growing_and_projecting_at_once_equals_one_after_the_other() {
    for (b, c, wide, o, h, k, stride, extra, padding) in [
        (2, 3, 5, 1, 4, 3, 2, 1, 1),
        (3, 4, 9, 2, 3, 3, 2, 0, 1),
        (1, 2, 3, 1, 5, 3, 1, 0, 0),
        (5, 2, 8, 1, 3, 5, 3, 2, 2),
    ] {
        let strides = (stride, 1, extra);
        let inputs = [
            random(1, &[b, c, h, h + 1], 1.0),
            random(2, &[c, wide, k, k], 0.3),
            random(3, &[wide], 0.5),
            random(4, &[o, wide, 3, 3], 0.3),
            random(5, &[o], 0.5),
        ];
        let run = |t: &[Tensor], fused: bool| {
            if fused {
                return upsample_project(&t[0], (&t[1], &t[2]), strides, (&t[3], &t[4]), padding)
                    .unwrap();
            }
            let grown =
                conv_transpose2d(&t[0], &t[1], &t[2], stride, 1, extra, Follow::Relu).unwrap();
            conv2d(&grown, &t[3], Some(&t[4]), 1, padding, Then::Nothing).unwrap()
        };
        let results: Vec<(Tensor, Vec<Tensor>)> = [true, false]
            .map(|fused| {
                let vars: Vec<Var> = inputs
                    .iter()
                    .map(|t| Var::from_tensor(t).unwrap())
                    .collect();
                let tracked: Vec<Tensor> = vars.iter().map(|v| v.as_tensor().clone()).collect();
                let y = run(&tracked, fused);
                let loss = (&y * random(9, y.dims(), 1.0)).unwrap().sum_all().unwrap();
                let gradients = loss.backward().unwrap();
                let gradients = vars.iter().map(|v| gradients.get(v).unwrap().clone());
                (y.detach(), gradients.collect())
            })
            .into();
        let gap = difference(&results[0].0, &results[1].0);
        assert!(gap < 2e-6, "{b}×{c}→{wide}→{o}: values {gap:e}");
        for (i, (mine, theirs)) in results[0].1.iter().zip(&results[1].1).enumerate() {
            let gap = difference(mine, theirs);
            assert!(gap < 6e-6, "{b}×{c}→{wide}→{o}: gradient {i} {gap:e}");
        }
    }
}

#[test]
fn patches_are_cut_row_by_row() {
    for shape in [[2, 3, 8, 8], [1, 1, 9, 11], [3, 2, 4, 12]] {
        let x = random(3, &shape, 1.0);
        agree(
            "patches",
            &[x],
            |t| patches(&t[0], 4),
            |t| composed::patches(&t[0], 4),
        );
    }
}
