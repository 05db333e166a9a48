//! What an image looks like in a few bytes: an exact digest and a perceptual one.

use lucency_likeness::{Likeness, TOGETHER_BITS};
use lucency_zoo::preprocess::Image8;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// An image's identity without its pixels.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fingerprint {
    /// SHA-256 of size, channels and samples, lower-case hexadecimal.
    pub exact: String,
    /// What it looks like, see [`Likeness`]; 0 for a picture without structure.
    pub gradient: [u64; 4],
}

impl Fingerprint {
    /// The fingerprint of an image as displayed.
    pub fn of(image: &Image8) -> Self {
        let mut hasher = Sha256::new();
        for n in [image.width, image.height, image.channels] {
            hasher.update((n as u64).to_le_bytes());
        }
        hasher.update(&image.data);
        let exact = hasher
            .finalize()
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        let grey = image.to_grey();
        let likeness = Likeness::of(&grey.data, grey.width, grey.height);
        let gradient = likeness.map_or([0; 4], |likeness| {
            let words = likeness.0.as_chunks::<8>().0;
            std::array::from_fn(|i| u64::from_le_bytes(words[i]))
        });
        Self { exact, gradient }
    }

    /// Bits in which the perceptual digests differ, 0 to 256.
    pub fn distance(&self, other: &Self) -> u32 {
        self.likeness().distance(&other.likeness())
    }

    /// Whether both look like one film. A picture without structure, such as a blank one, resembles none.
    pub fn is_near(&self, other: &Self) -> bool {
        let has_structure = |of: &Self| of.likeness().structure() > 2 * TOGETHER_BITS;
        has_structure(self) && has_structure(other) && self.distance(other) <= TOGETHER_BITS
    }

    fn likeness(&self) -> Likeness {
        let mut bytes = [0; 32];
        for (bytes, word) in bytes.as_chunks_mut::<8>().0.iter_mut().zip(self.gradient) {
            *bytes = word.to_le_bytes();
        }
        Likeness(bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::{Rng, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    /// A smooth random picture.
    fn picture(seed: u64, width: usize, height: usize) -> Image8 {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let waves: Vec<[f64; 4]> = (0..12)
            .map(|_| std::array::from_fn(|_| rng.random_range(-9.0..9.0)))
            .collect();
        let data = (0..width * height)
            .map(|i| {
                let (x, y) = (
                    (i % width) as f64 / width as f64,
                    (i / width) as f64 / height as f64,
                );
                let sum: f64 = waves
                    .iter()
                    .map(|w| (w[0] * x + w[1] * y + w[2]).sin() * w[3])
                    .sum();
                (128.0 + 4.0 * sum).clamp(0.0, 255.0) as u8
            })
            .collect();
        Image8::new(width, height, 1, data).unwrap()
    }

    #[test]
    fn scaling_and_brightness_stay_near_and_another_picture_does_not() {
        let film = picture(1, 300, 260);
        let mut brighter = picture(1, 180, 170);
        for v in &mut brighter.data {
            *v = (f64::from(*v) * 0.8 + 30.0) as u8;
        }
        let (a, b) = (Fingerprint::of(&film), Fingerprint::of(&brighter));
        assert_ne!(a.exact, b.exact);
        assert!(a.is_near(&b), "{} bits", a.distance(&b));
        let other = Fingerprint::of(&picture(2, 300, 260));
        assert!(!a.is_near(&other), "{} bits", a.distance(&other));
        assert_eq!(a, Fingerprint::of(&film));
    }

    #[test]
    fn blank_pictures_are_not_duplicates_of_each_other() {
        let blank = |v| Fingerprint::of(&Image8::new(20, 20, 1, vec![v; 400]).unwrap());
        assert!(!blank(0).is_near(&blank(255)));
    }
}
