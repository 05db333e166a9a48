//! Whether two images look the same: a difference hash of 256 bits, for the library's leak check and for training's.
//!
//! The image is averaged into 17 × 16 cells; each bit says whether a cell is darker than its right neighbour by more than
//! the noise of compression. Source: Krawetz, "Kind of like that" (2013), with four times its bits, since radiographs
//! resemble each other.

/// Most differing bits of two images that a person is told to be the same. Below [`WORDS`], so that two such hashes share a
/// word and a million need not be compared pair by pair.
///
/// Measured on 315 images of VQA-RAD and 272 chest radiographs of public case collections: an image saved again as JPEG of
/// quality 40 or 75, at full or half size, is at most 9 bits off. Of 86 000 pairs of different images two are closer than 25
/// bits: at 5 bits one radiograph under two reports, at 14 bits two radiographs of one patient. Images that were cropped by
/// 2 % at each edge are mostly missed (median 20 bits), a tenth of the brightened ones too.
pub const SAME_BITS: u32 = 12;

/// Most differing bits of two images that a division of cases does not separate. More than [`SAME_BITS`]: to keep two images
/// together that are different costs nothing, to divide a film from its copy makes a test easier than it is.
///
/// Of 60 of the 272 radiographs that were scaled to 0.7, brightened and written as JPEG of quality 60, 58 stay within 16
/// bits and 56 within 12. No two radiographs of different patients are closer than 28 bits.
pub const TOGETHER_BITS: u32 = 16;

/// 16-bit words in a hash.
pub const WORDS: usize = 16;

const COLUMNS: usize = 17;
const ROWS: usize = 16;
/// Grey levels of 255 that compression alone may move an average by.
const NOISE: f64 = 1.0;

/// What an image looks like, in 256 bits: bit `i % 8` of byte `i / 8` for cell `i`, row by row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Likeness(pub [u8; 32]);

impl Likeness {
    /// The hash of a displayed image; none for an image that is smaller than the cells or all of one grey.
    ///
    /// - `grey`: `[height, width]`, row by row
    pub fn of(grey: &[u8], width: usize, height: usize) -> Option<Self> {
        if width < COLUMNS || height < ROWS || grey.len() != width * height {
            return None;
        }
        let cells = averages(grey, width, height);
        let mut bits = [0; 32];
        for row in 0..ROWS {
            for column in 0..COLUMNS - 1 {
                let at = row * COLUMNS + column;
                if cells[at + 1] - cells[at] > NOISE {
                    let bit = row * (COLUMNS - 1) + column;
                    bits[bit / 8] |= 1 << (bit % 8);
                }
            }
        }
        (bits != [0; 32]).then_some(Self(bits))
    }

    /// Differing bits, 0 to 256.
    pub fn distance(&self, other: &Self) -> u32 {
        let pairs = self.0.iter().zip(&other.0);
        pairs.map(|(a, b)| (a ^ b).count_ones()).sum()
    }

    /// Cells that are darker than their right neighbours. With few of them an image says little: two such hashes are near
    /// each other whatever the images show.
    pub fn structure(&self) -> u32 {
        self.0.iter().map(|byte| byte.count_ones()).sum()
    }
}

/// Mean grey of each cell, `[ROWS, COLUMNS]`.
fn averages(grey: &[u8], width: usize, height: usize) -> Vec<f64> {
    let edge = |i: usize, cells: usize, length: usize| i * length / cells;
    let mut cells = Vec::with_capacity(ROWS * COLUMNS);
    for row in 0..ROWS {
        let rows = edge(row, ROWS, height)..edge(row + 1, ROWS, height);
        for column in 0..COLUMNS {
            let columns = edge(column, COLUMNS, width)..edge(column + 1, COLUMNS, width);
            let count = rows.len() * columns.len();
            let sum: u64 = rows
                .clone()
                .map(|y| {
                    let line = &grey[y * width + columns.start..y * width + columns.end];
                    line.iter().map(|&v| u64::from(v)).sum::<u64>()
                })
                .sum();
            cells.push(sum as f64 / count as f64);
        }
    }
    cells
}

#[cfg(test)]
mod tests {
    use rand::{Rng as _, SeedableRng as _};
    use rand_chacha::ChaCha8Rng;

    use super::*;

    /// A smooth random picture.
    fn picture(seed: u64, width: usize, height: usize) -> Vec<u8> {
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        let waves: Vec<[f64; 4]> = (0..12)
            .map(|_| std::array::from_fn(|_| random.random_range(-9.0..9.0)))
            .collect();
        let grey = |i: usize| {
            let (x, y) = (
                (i % width) as f64 / width as f64,
                (i / width) as f64 / height as f64,
            );
            let wave = |w: &[f64; 4]| (w[0] * x + w[1] * y + w[2]).sin() * w[3];
            let sum: f64 = waves.iter().map(wave).sum();
            (128.0 + 4.0 * sum).clamp(0.0, 255.0) as u8
        };
        (0..width * height).map(grey).collect()
    }

    fn likeness(grey: &[u8], width: usize, height: usize) -> Likeness {
        Likeness::of(grey, width, height).expect("it has structure")
    }

    #[test]
    fn another_size_and_brightness_is_the_same_and_another_picture_is_not() {
        let film = likeness(&picture(1, 300, 260), 300, 260);
        let mut smaller = picture(1, 180, 170);
        for v in &mut smaller {
            *v = (f64::from(*v) * 0.8 + 30.0) as u8;
        }
        let smaller = likeness(&smaller, 180, 170);
        let other = likeness(&picture(2, 300, 260), 300, 260);
        assert!(film.distance(&smaller) <= TOGETHER_BITS);
        assert!(film.distance(&other) > 4 * TOGETHER_BITS);
        assert_eq!(film.distance(&film), 0);
    }

    #[test]
    fn a_picture_without_structure_has_no_hash() {
        assert_eq!(Likeness::of(&[7; 400], 20, 20), None, "one grey");
        assert_eq!(Likeness::of(&[7; 16 * 16], 16, 16), None, "too narrow");
        assert_eq!(Likeness::of(&[7; 10], 20, 20), None, "not its size");
    }

    #[test]
    fn bits_lie_row_by_row() {
        // 17 columns of 16 rows, a pixel a cell: only the first row rises, and only at its third cell.
        let mut grey = vec![10; 17 * 16];
        grey[3..17].fill(20);
        let hash = likeness(&grey, 17, 16);
        let mut wanted = [0; 32];
        wanted[0] = 1 << 2;
        assert_eq!(hash, Likeness(wanted));
        assert_eq!(hash.structure(), 1);
    }

    #[test]
    fn what_counts_as_the_same_shares_a_word() {
        assert!((SAME_BITS as usize) < WORDS && SAME_BITS < TOGETHER_BITS);
    }
}
