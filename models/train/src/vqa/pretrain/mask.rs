//! Hiding patches of an image.

use rand::Rng;
use rand::seq::index;

/// Side of a patch in pixels. He et al. 2022 hide 16 of 224; an autoencoder of convolutions sees about as far as one such patch is
/// wide, so that ours are smaller.
const PATCH: usize = 8;

/// Which patches of a square image are hidden.
pub(super) struct Mask {
    side: usize,
    across: usize,
    hidden: Vec<bool>,
}

impl Mask {
    /// Hides a share of the patches, at least one.
    ///
    /// - `side`: of the image in pixels; patches at its right and lower edge may be cut
    /// - `share`: 0 to 1
    pub(super) fn draw(side: usize, share: f64, rng: &mut impl Rng) -> Self {
        let across = side.div_ceil(PATCH);
        let patches = across * across;
        let wanted = ((patches as f64 * share).round() as usize).clamp(1, patches);
        let mut hidden = vec![false; patches];
        for patch in index::sample(rng, patches, wanted) {
            hidden[patch] = true;
        }
        Self {
            side,
            across,
            hidden,
        }
    }

    fn hides(&self, pixel: usize) -> bool {
        let (row, column) = (pixel / self.side, pixel % self.side);
        self.hidden[row / PATCH * self.across + column / PATCH]
    }

    /// Replaces the hidden pixels by the mean of the image.
    ///
    /// - `image`: `[side · side]`
    pub(super) fn hide(&self, image: &mut [f32]) {
        let mean = image.iter().sum::<f32>() / image.len().max(1) as f32;
        for (pixel, value) in image.iter_mut().enumerate() {
            if self.hides(pixel) {
                *value = mean;
            }
        }
    }

    /// 1 for every hidden pixel, 0 for the others, `side · side` of them.
    pub(super) fn pixels(&self) -> impl Iterator<Item = f32> + '_ {
        (0..self.side * self.side).map(|pixel| f32::from(u8::from(self.hides(pixel))))
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;

    use super::*;

    #[test]
    fn whole_patches_are_hidden_and_the_rest_stays() {
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        let mask = Mask::draw(32, 0.75, &mut rng);
        let pixels: Vec<f32> = mask.pixels().collect();
        assert_eq!(pixels.iter().sum::<f32>(), 12.0 * 64.0, "12 of 16 patches");
        let first: Vec<f32> = (0..64).map(|i| pixels[i / 8 * 32 + i % 8]).collect();
        assert!(
            first.iter().all(|v| *v == first[0]),
            "a patch is hidden as a whole"
        );
        let mut image: Vec<f32> = (0..32 * 32).map(|i| i as f32).collect();
        mask.hide(&mut image);
        for (i, (value, hidden)) in image.iter().zip(&pixels).enumerate() {
            let expected = if *hidden == 1.0 { 511.5 } else { i as f32 };
            assert!((value - expected).abs() < 0.1, "{value} at {i}");
        }
    }
}
