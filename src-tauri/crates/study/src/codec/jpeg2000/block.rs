//! A code-block's coefficients, bit plane by bit plane. Source: ITU-T T.800 annex D.
//!
//! The state of four coefficients, one below the other, stands in one word: which of the 6 × 3 coefficients in and around
//! them are significant (bit `3 · row + column`), and signs, refined and visited marks of the four.

use std::sync::LazyLock;

use super::arithmetic::{Decoder, RUN, UNIFORM};

/// The coefficient itself, at the first of the four rows; each row below is three bits further.
const HERE: u32 = 1 << 4;
/// Its eight neighbours.
const AROUND: u32 = 0x1EF;
/// Sign bit, mark of a first refinement, and mark of the significance pass.
const SIGN: u32 = 1 << 19;
const REFINED: u32 = 1 << 20;
const VISITED: u32 = 1 << 21;
/// The marks of all four.
const ALL_VISITED: u32 = VISITED | VISITED << 3 | VISITED << 6 | VISITED << 9;

/// Which filters made a subband: its context tables differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Orientation {
    /// Low-pass across, low- or high-pass down.
    LowAcross,
    /// High-pass across, low-pass down.
    HighAcross,
    HighBoth,
}

/// What the packets said of a code-block.
pub(super) struct Coded<'a> {
    pub width: usize,
    pub height: usize,
    pub orientation: Orientation,
    /// Bit planes that are not all zero.
    pub planes: u32,
    pub passes: u32,
    pub bytes: &'a [u8],
    /// Each plane ends with four bits that say nothing.
    pub symbols: bool,
}

/// Decodes a code-block: twice each coefficient, with the middle of what is not known in the place of the lowest bits;
/// `[height, width]`.
pub(super) fn decode(coded: &Coded<'_>) -> Vec<i32> {
    let &Coded { width, height, .. } = coded;
    let stride = width + 2;
    let mut block = Block {
        width,
        height,
        stride,
        flags: vec![0; stride * (height.div_ceil(4) + 2)],
        data: vec![0; width * height],
        zero_coding: &ZERO_CODING[coded.orientation as usize],
    };
    let mut decoder = Decoder::new(coded.bytes);
    let mut plane = coded.planes;
    // The first plane has no coefficient to refine and none with a significant neighbour.
    let mut pass = 2;
    for _ in 0..coded.passes {
        if plane == 0 {
            break;
        }
        match pass {
            0 => block.significance(&mut decoder, plane),
            1 => block.refinement(&mut decoder, plane),
            _ => {
                block.cleanup(&mut decoder, plane);
                if coded.symbols {
                    for _ in 0..4 {
                        decoder.decode(UNIFORM);
                    }
                }
                plane -= 1;
            }
        }
        pass = (pass + 1) % 3;
    }
    block.data
}

struct Block {
    width: usize,
    height: usize,
    /// Words from a stripe of four rows to the next; there is an empty one around all of them.
    stride: usize,
    flags: Vec<u32>,
    data: Vec<i32>,
    zero_coding: &'static [u8; 512],
}

/// The same in local variables of a pass, which stay in registers while words change.
struct View<'a> {
    width: usize,
    stride: usize,
    flags: &'a mut [u32],
    data: &'a mut [i32],
    zero_coding: &'static [u8; 512],
}

impl Block {
    fn view(&mut self) -> View<'_> {
        View {
            width: self.width,
            stride: self.stride,
            flags: &mut self.flags,
            data: &mut self.data,
            zero_coding: self.zero_coding,
        }
    }

    /// Stripes: first row, rows, and the word of their first column.
    fn stripes(&self) -> impl Iterator<Item = (usize, usize, usize)> + use<> {
        let (height, stride) = (self.height, self.stride);
        (0..height)
            .step_by(4)
            .map(move |row| (row, (height - row).min(4), (row / 4 + 1) * stride + 1))
    }

    /// Source: D.3.1.
    fn significance(&mut self, decoder: &mut Decoder<'_>, plane: u32) {
        let mut local = *decoder;
        let value = 3 << (plane - 1);
        let stripes = self.stripes();
        let mut view = self.view();
        for (row, rows, first) in stripes {
            for x in 0..view.width {
                let at = first + x;
                if view.flags[at] == 0 {
                    continue;
                }
                let place = row * view.width + x;
                if rows == 4 {
                    view.significant_one(&mut local, 0, at, place, value);
                    view.significant_one(&mut local, 1, at, place, value);
                    view.significant_one(&mut local, 2, at, place, value);
                    view.significant_one(&mut local, 3, at, place, value);
                } else {
                    for i in 0..rows {
                        view.significant_one(&mut local, i, at, place, value);
                    }
                }
            }
        }
        *decoder = local;
    }

    /// Source: D.3.3.
    fn refinement(&mut self, decoder: &mut Decoder<'_>, plane: u32) {
        let mut local = *decoder;
        let half = 1 << (plane - 1);
        let stripes = self.stripes();
        let mut view = self.view();
        for (row, rows, first) in stripes {
            for x in 0..view.width {
                let at = first + x;
                if view.flags[at] & (HERE | HERE << 3 | HERE << 6 | HERE << 9) == 0 {
                    continue;
                }
                let place = row * view.width + x;
                if rows == 4 {
                    view.refine_one(&mut local, 0, at, place, half);
                    view.refine_one(&mut local, 1, at, place, half);
                    view.refine_one(&mut local, 2, at, place, half);
                    view.refine_one(&mut local, 3, at, place, half);
                } else {
                    for i in 0..rows {
                        view.refine_one(&mut local, i, at, place, half);
                    }
                }
            }
        }
        *decoder = local;
    }

    /// Source: D.3.4.
    fn cleanup(&mut self, decoder: &mut Decoder<'_>, plane: u32) {
        let mut local = *decoder;
        let value = 3 << (plane - 1);
        let stripes = self.stripes();
        let mut view = self.view();
        for (row, rows, first) in stripes {
            for x in 0..view.width {
                let at = first + x;
                let place = row * view.width + x;
                let mut next = 0;
                if rows == 4 && view.flags[at] == 0 {
                    if local.decode(RUN) == 0 {
                        continue;
                    }
                    next = (local.decode(UNIFORM) << 1 | local.decode(UNIFORM)) as usize;
                    view.becomes_significant(&mut local, next, at, place, value);
                    next += 1;
                }
                for i in next..rows {
                    let flags = view.flags[at] >> (3 * i);
                    if flags & (HERE | VISITED) == 0 {
                        let context = view.zero_coding[(flags & 0x1FF) as usize];
                        if local.decode(usize::from(context)) == 1 {
                            view.becomes_significant(&mut local, i, at, place, value);
                        }
                    }
                }
                view.flags[at] &= !ALL_VISITED;
            }
        }
        *decoder = local;
    }
}

impl View<'_> {
    #[inline(always)]
    fn significant_one(
        &mut self,
        decoder: &mut Decoder<'_>,
        i: usize,
        at: usize,
        place: usize,
        value: i32,
    ) {
        let flags = self.flags[at] >> (3 * i);
        if flags & (HERE | VISITED) == 0 && flags & AROUND != 0 {
            let context = self.zero_coding[(flags & 0x1FF) as usize];
            if decoder.decode(usize::from(context)) == 1 {
                self.becomes_significant(decoder, i, at, place, value);
            }
            self.flags[at] |= VISITED << (3 * i);
        }
    }

    #[inline(always)]
    fn refine_one(
        &mut self,
        decoder: &mut Decoder<'_>,
        i: usize,
        at: usize,
        place: usize,
        half: i32,
    ) {
        let flags = self.flags[at] >> (3 * i);
        if flags & (HERE | VISITED) != HERE {
            return;
        }
        let context = match (flags & REFINED != 0, flags & AROUND != 0) {
            (true, _) => 16,
            (false, true) => 15,
            (false, false) => 14,
        };
        let up = decoder.decode(context) == 1;
        let value = &mut self.data[place + i * self.width];
        *value += if up != (*value < 0) { half } else { -half };
        self.flags[at] |= REFINED << (3 * i);
    }

    /// Decodes the sign of the coefficient in row `i` of four, and tells its neighbours. Source: D.3.2.
    #[inline(always)]
    fn becomes_significant(
        &mut self,
        decoder: &mut Decoder<'_>,
        i: usize,
        at: usize,
        place: usize,
        value: i32,
    ) {
        let shift = 3 * i;
        let flags = self.flags[at];
        let sign = |word: u32, bit: usize| (word >> bit & 1) as usize;
        // Signs of the rows above and below the four lie at either end.
        let above = if i == 0 { 18 } else { 16 + shift };
        let below = if i == 3 { 31 } else { 22 + shift };
        let near = (flags >> shift) as usize;
        let bits = [
            near >> 1 & 1,
            near >> 3 & 1,
            near >> 5 & 1,
            near >> 7 & 1,
            sign(flags, above),
            sign(self.flags[at - 1], 19 + shift),
            sign(self.flags[at + 1], 19 + shift),
            sign(flags, below),
        ];
        let index = bits.iter().rev().fold(0, |index, bit| index << 1 | bit);
        let coding = SIGN_CODING[index & 255];
        let negative = decoder.decode(usize::from(coding & 31)) ^ u32::from(coding >> 7);
        self.data[place + i * self.width] = if negative == 1 { -value } else { value };
        self.flags[at] |= (HERE | (negative * SIGN)) << shift;
        self.flags[at - 1] |= HERE << 1 << shift;
        self.flags[at + 1] |= HERE >> 1 << shift;
        if i == 0 {
            let north = at - self.stride;
            self.flags[north] |= 1 << 16 | negative << 31;
            self.flags[north - 1] |= 1 << 17;
            self.flags[north + 1] |= 1 << 15;
        }
        if i == 3 {
            let south = at + self.stride;
            self.flags[south] |= 1 << 1 | negative << 18;
            self.flags[south - 1] |= 1 << 2;
            self.flags[south + 1] |= 1;
        }
    }
}

/// Contexts of significance by the neighbours' bits, one table an [`Orientation`]. Source: table D.1.
static ZERO_CODING: LazyLock<[[u8; 512]; 3]> = LazyLock::new(|| {
    let orientations = [
        Orientation::LowAcross,
        Orientation::HighAcross,
        Orientation::HighBoth,
    ];
    orientations.map(|orientation| std::array::from_fn(|near| zero_context(orientation, near)))
});

fn zero_context(orientation: Orientation, near: usize) -> u8 {
    let count = |bits: [usize; 2]| bits.iter().filter(|b| near >> **b & 1 == 1).count();
    let (across, down) = (count([3, 5]), count([1, 7]));
    let diagonal = count([0, 2]) + count([6, 8]);
    let (first, second) = match orientation {
        Orientation::HighAcross => (down, across),
        _ => (across, down),
    };
    if orientation == Orientation::HighBoth {
        return match (diagonal, across + down) {
            (3.., _) => 8,
            (2, 1..) => 7,
            (2, 0) => 6,
            (1, 2..) => 5,
            (1, 1) => 4,
            (1, 0) => 3,
            (_, 2..) => 2,
            (_, 1) => 1,
            _ => 0,
        };
    }
    match (first, second, diagonal) {
        (2, _, _) => 8,
        (1, 1.., _) => 7,
        (1, 0, 1..) => 6,
        (1, 0, 0) => 5,
        (_, 2, _) => 4,
        (_, 1, _) => 3,
        (_, _, 2..) => 2,
        (_, _, 1) => 1,
        _ => 0,
    }
}

/// Context of a sign and, in the highest bit, whether it is turned round, by which of the neighbours above, left, right and
/// below are significant (bits 0 to 3) and negative (bits 4 to 7). Source: tables D.2 and D.3.
static SIGN_CODING: LazyLock<[u8; 256]> = LazyLock::new(|| {
    std::array::from_fn(|index| {
        let part = |bit: usize| match (index >> bit & 1, index >> (bit + 4) & 1) {
            (0, _) => 0i32,
            (_, 0) => 1,
            _ => -1,
        };
        let down = (part(0) + part(3)).clamp(-1, 1);
        let across = (part(1) + part(2)).clamp(-1, 1);
        let context = match (across.abs(), across * down) {
            (1, 1) => 13,
            (1, 0) => 12,
            (1, _) => 11,
            _ if down != 0 => 10,
            _ => 9,
        };
        let turned = across < 0 || (across == 0 && down < 0);
        context | u8::from(turned) << 7
    })
});
