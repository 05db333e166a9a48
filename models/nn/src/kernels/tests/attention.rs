//! Attention: fused beside composed, and composed in blocks beside composed at once.

use super::super::composed::attention_in_blocks;
use super::*;

#[test]
fn attention_agrees_under_every_mask() {
    for (b, n, m, heads, d) in [
        (1, 1, 1, 1, 3),
        (2, 5, 5, 3, 8),
        (3, 17, 17, 2, 5),
        (2, 4, 9, 2, 16),
        (1, 70, 130, 2, 8),
    ] {
        let dim = heads * d;
        let added = random(9, &[n, m], 2.0);
        for mask in [Mask::None, Mask::Causal, Mask::Additive(added)] {
            let scale = 1.0 / (d as f64).sqrt();
            let what = format!("{b}×{n}×{m}, {heads} heads of {d}, {mask:?}");
            agree(
                &what,
                &[
                    random(1, &[b, n, dim], 1.0),
                    random(2, &[b, m, dim], 1.0),
                    random(3, &[b, m, dim], 1.0),
                ],
                |t| attention(&t[0], &t[1], &t[2], heads, &mask, scale),
                |t| composed::attention(&t[0], &t[1], &t[2], heads, &mask, scale),
            );
            // Without gradients the weights are never all there.
            let [q, k, v] =
                [(1, n), (2, m), (3, m)].map(|(seed, n)| random(seed, &[b, n, dim], 1.0));
            let streamed = attention(&q, &k, &v, heads, &mask, scale).unwrap();
            let wanted = composed::attention(&q, &k, &v, heads, &mask, scale).unwrap();
            let gap = difference(&streamed, &wanted);
            assert!(gap < 2e-6, "{what}: streamed values differ by {gap:e}");
            if n == m {
                agree(
                    &format!("packed {what}"),
                    &[random(1, &[b, n, 3 * dim], 1.0)],
                    |t| packed_attention(&t[0], heads, &mask, scale),
                    |t| packed_attention(&t[0], heads, &mask, scale),
                );
            }
        }
    }
}

#[test]
fn blocks_of_queries_give_what_all_at_once_give() {
    let (b, n, m, heads, d) = (2, 11, 13, 3, 4);
    let dim = heads * d;
    let (q, k, v) = (
        random(1, &[b, n, dim], 1.0),
        random(2, &[b, m, dim], 1.0),
        random(3, &[b, m, dim], 1.0),
    );
    let masks = [
        Mask::None,
        Mask::Causal,
        Mask::Additive(random(4, &[n, m], 2.0)),
        Mask::Additive(random(5, &[b, heads, n, m], 2.0)),
        Mask::Additive(random(6, &[b, 1, 1, m], 2.0)),
    ];
    for mask in masks {
        let of = |block| {
            attention_in_blocks(&q, &k, &v, heads, &mask, 0.5, block, (b, n, m, dim)).unwrap()
        };
        let whole = of(n);
        for block in [1, 4, 10] {
            let apart = difference(&of(block), &whole);
            assert!(apart < 1e-6, "{mask:?} in blocks of {block}: {apart}");
        }
    }
}
