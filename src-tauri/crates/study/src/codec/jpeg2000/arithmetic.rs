//! The adaptive binary arithmetic decoder. Source: ITU-T T.800 annex C.

/// Context of a run of four insignificant coefficients.
pub(super) const RUN: usize = 17;
/// Context of bits that are as likely 0 as 1.
pub(super) const UNIFORM: usize = 18;

/// A state of the probability estimate, and the more probable symbol.
#[derive(Clone, Copy)]
struct State {
    probability: u32,
    /// Index after the more and after the less probable symbol.
    next: [u8; 2],
}

/// Probability, state after the more probable and after the less probable symbol, whether the symbols change places.
/// Source: T.800 table C.2.
#[rustfmt::skip]
const ROWS: [(u32, u8, u8, u8); 47] = [
    (0x5601, 1, 1, 1), (0x3401, 2, 6, 0), (0x1801, 3, 9, 0), (0x0AC1, 4, 12, 0), (0x0521, 5, 29, 0),
    (0x0221, 38, 33, 0), (0x5601, 7, 6, 1), (0x5401, 8, 14, 0), (0x4801, 9, 14, 0), (0x3801, 10, 14, 0),
    (0x3001, 11, 17, 0), (0x2401, 12, 18, 0), (0x1C01, 13, 20, 0), (0x1601, 29, 21, 0), (0x5601, 15, 14, 1),
    (0x5401, 16, 14, 0), (0x5101, 17, 15, 0), (0x4801, 18, 16, 0), (0x3801, 19, 17, 0), (0x3401, 20, 18, 0),
    (0x3001, 21, 19, 0), (0x2801, 22, 19, 0), (0x2401, 23, 20, 0), (0x2201, 24, 21, 0), (0x1C01, 25, 22, 0),
    (0x1801, 26, 23, 0), (0x1601, 27, 24, 0), (0x1401, 28, 25, 0), (0x1201, 29, 26, 0), (0x1101, 30, 27, 0),
    (0x0AC1, 31, 28, 0), (0x09C1, 32, 29, 0), (0x08A1, 33, 30, 0), (0x0521, 34, 31, 0), (0x0441, 35, 32, 0),
    (0x02A1, 36, 33, 0), (0x0221, 37, 34, 0), (0x0141, 38, 35, 0), (0x0111, 39, 36, 0), (0x0085, 40, 37, 0),
    (0x0049, 41, 38, 0), (0x0025, 42, 39, 0), (0x0015, 43, 40, 0), (0x0009, 44, 41, 0), (0x0005, 45, 42, 0),
    (0x0001, 45, 43, 0), (0x5601, 46, 46, 0),
];

/// [`ROWS`] for both symbols: index `2 · state + symbol`. Filled up so that a byte of 7 bits is always an index.
static STATES: [State; 128] = {
    let mut states = [State {
        probability: 0x5601,
        next: [0; 2],
    }; 128];
    let mut i = 0;
    while i < 94 {
        let (probability, more, less, switch) = ROWS[i / 2];
        let symbol = (i % 2) as u8;
        states[i] = State {
            probability,
            next: [2 * more + symbol, 2 * less + (symbol ^ switch)],
        };
        i += 1;
    }
    states
};

/// A decoder at some place of a code-block's bytes.
#[derive(Clone, Copy)]
pub(super) struct Decoder<'a> {
    interval: u32,
    code: u32,
    /// Bits of `code` before the next byte is wanted.
    left: u32,
    at: usize,
    bytes: &'a [u8],
    states: [u8; 32],
}

impl<'a> Decoder<'a> {
    /// At the first byte. Past the last one the stream goes on with ones.
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        let mut states = [0; 32];
        states[0] = 2 * 4;
        states[RUN] = 2 * 3;
        states[UNIFORM] = 2 * 46;
        let first = u32::from(bytes.first().copied().unwrap_or(0xFF));
        let (at, code, left) = byte_in(bytes, 0, first << 16);
        Self {
            interval: 0x8000,
            code: code << 7,
            left: left - 7,
            at,
            bytes,
            states,
        }
    }

    /// The next symbol in a context. Source: T.800 C.3.2.
    #[inline(always)]
    pub(super) fn decode(&mut self, context: usize) -> u32 {
        let index = self.states[context & 31];
        let state = STATES[usize::from(index & 127)];
        let more = u32::from(index & 1);
        let probability = state.probability;
        self.interval -= probability;
        // Which of the two parts, and whether they changed places.
        let (symbol, next) = if self.code >> 16 < probability {
            let swapped = self.interval < probability;
            self.interval = probability;
            match swapped {
                true => (more, state.next[0]),
                false => (1 - more, state.next[1]),
            }
        } else {
            self.code -= probability << 16;
            if self.interval & 0x8000 != 0 {
                return more;
            }
            match self.interval < probability {
                true => (1 - more, state.next[1]),
                false => (more, state.next[0]),
            }
        };
        self.states[context & 31] = next;
        let mut shift = self.interval.leading_zeros() - 16;
        loop {
            if self.left == 0 {
                (self.at, self.code, self.left) = byte_in(self.bytes, self.at, self.code);
            }
            let step = shift.min(self.left);
            self.interval <<= step;
            self.code <<= step;
            self.left -= step;
            shift -= step;
            if shift == 0 {
                return symbol;
            }
        }
    }
}

/// Takes a byte, seven bits of it after a byte of ones; a marker stays where it is. Source: T.800 C.3.4.
#[inline(always)]
fn byte_in(bytes: &[u8], at: usize, code: u32) -> (usize, u32, u32) {
    let byte = |at: usize| u32::from(bytes.get(at).copied().unwrap_or(0xFF));
    let next = byte(at + 1);
    match byte(at) {
        0xFF if next > 0x8F => (at, code + 0xFF00, 8),
        0xFF => (at + 1, code + (next << 9), 7),
        _ => (at + 1, code + (next << 8), 8),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The test sequence of T.88 H.2, the same coder's: 256 bits in one context, 30 bytes.
    #[test]
    fn the_standards_sequence_decodes() {
        let bytes = [
            0x84, 0xC7, 0x3B, 0xFC, 0xE1, 0xA1, 0x43, 0x04, 0x02, 0x20, 0x00, 0x00, 0x41, 0x0D,
            0xBB, 0x86, 0xF4, 0x31, 0x7F, 0xFF, 0x88, 0xFF, 0x37, 0x47, 0x1A, 0xDB, 0x6A, 0xDF,
            0xFF, 0xAC,
        ];
        let wanted = [
            0x00u8, 0x02, 0x00, 0x51, 0x00, 0x00, 0x00, 0xC0, 0x03, 0x52, 0x87, 0x2A, 0xAA, 0xAA,
            0xAA, 0xAA, 0x82, 0xC0, 0x20, 0x00, 0xFC, 0xD7, 0x9E, 0xF6, 0xBF, 0x7F, 0xED, 0x90,
            0x4F, 0x46, 0xA3, 0xBF,
        ];
        let mut decoder = Decoder::new(&bytes);
        for (i, wanted) in wanted.iter().enumerate() {
            let byte = (0..8).fold(0, |byte, _| byte << 1 | decoder.decode(1));
            assert_eq!(byte, u32::from(*wanted), "byte {i}");
        }
    }
}
