//! Bits of a JPEG-LS scan: after a byte of ones the next byte holds seven. Source: T.87 A.1, C.1.1.

use crate::error::StudyError;

/// Why a code could not be read. It fits into a register beside a sample, where a [`StudyError`] goes through memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fault {
    End,
    Code,
    Restart,
    NoRestart,
}

impl From<Fault> for StudyError {
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::End => Self::truncated("JPEG-LS entropy-coded data"),
            Fault::Code => Self::corrupt("a JPEG-LS code"),
            Fault::Restart => Self::corrupt("a JPEG-LS restart interval"),
            Fault::NoRestart => Self::truncated("a JPEG-LS restart interval"),
        }
    }
}

/// What reading gives.
pub(super) type Read<T> = std::result::Result<T, Fault>;

pub(super) struct Bits<'a> {
    bytes: &'a [u8],
    at: usize,
    buffer: u64,
    count: u32,
    after_ones: bool,
    /// A marker or the end was reached.
    ended: bool,
}

impl<'a> Bits<'a> {
    pub fn new(bytes: &'a [u8]) -> Self {
        Self {
            bytes,
            at: 0,
            buffer: 0,
            count: 0,
            after_ones: false,
            ended: false,
        }
    }

    fn fill(&mut self) {
        // Most words hold no byte of ones and are taken whole.
        let ahead = self.bytes.get(self.at..).and_then(|b| b.first_chunk::<4>());
        if let (Some(bytes), false, true) = (ahead, self.after_ones, self.count <= 24)
            && !bytes.contains(&0xFF)
        {
            self.buffer = self.buffer << 32 | u64::from(u32::from_be_bytes(*bytes));
            self.count += 32;
            self.at += 4;
            return;
        }
        while self.count <= 48 && !self.ended {
            let Some(&byte) = self.bytes.get(self.at) else {
                self.ended = true;
                return;
            };
            if self.after_ones {
                if byte & 0x80 != 0 {
                    // A marker: its first byte was taken for data, eight bits of ones that nobody may read.
                    self.ended = true;
                    self.at -= 1;
                    self.buffer >>= 8;
                    self.count = self.count.saturating_sub(8);
                    return;
                }
                self.buffer = self.buffer << 7 | u64::from(byte);
                self.count += 7;
            } else {
                self.buffer = self.buffer << 8 | u64::from(byte);
                self.count += 8;
            }
            self.after_ones = byte == 0xFF;
            self.at += 1;
        }
    }

    /// The next `bits` (at most 32) as a number.
    ///
    /// Errors at the end.
    #[inline]
    pub fn read(&mut self, bits: u32) -> Read<u32> {
        if bits == 0 {
            return Ok(0);
        }
        if self.count < bits + 8 {
            self.fill();
        }
        if self.count < bits {
            return Err(Fault::End);
        }
        self.count -= bits;
        let mask = (1u64 << bits) - 1;
        Ok((self.buffer >> self.count & mask) as u32)
    }

    /// A Golomb code of fewer than `escape` zeros and `k` bits (at most 24), if it is in the buffer whole; else takes nothing.
    #[inline]
    pub fn golomb(&mut self, k: u32, escape: u32) -> Option<u32> {
        if self.count < 32 {
            self.fill();
        }
        // The last eight bits may still turn out to be a marker.
        let usable = self.count.checked_sub(8).filter(|usable| *usable > 0)?;
        let ahead = self.buffer << (64 - self.count);
        let zeros = ahead.leading_zeros();
        if zeros >= escape || zeros + 1 + k > usable {
            return None;
        }
        self.count -= zeros + 1 + k;
        let low = (self.buffer >> self.count) as u32 & ((1 << k) - 1);
        Some(zeros << k | low)
    }

    /// Number of zeros before the next one, which is taken too; more than `limit` are an error.
    #[inline]
    pub fn zeros(&mut self, limit: u32) -> Read<u32> {
        let mut zeros = 0;
        loop {
            if self.count < 16 {
                self.fill();
            }
            if self.count == 0 {
                return Err(Fault::End);
            }
            let ahead = self.buffer << (64 - self.count);
            // While the stream goes on, the last eight bits may still turn out to be a marker.
            let usable = if self.ended {
                self.count
            } else {
                self.count - 8
            };
            let run = ahead.leading_zeros().min(usable);
            zeros += run;
            if zeros > limit {
                return Err(Fault::Code);
            }
            self.count -= run;
            if run < usable {
                self.count -= 1;
                return Ok(zeros);
            }
            if usable == 0 {
                return Err(Fault::End);
            }
        }
    }

    /// Goes to the byte after the next restart marker.
    ///
    /// Errors if another marker or the end comes first.
    pub fn restart(&mut self) -> Read<()> {
        self.fill_to_marker()?;
        let marker = self.bytes.get(self.at..self.at + 2);
        match marker {
            Some([0xFF, 0xD0..=0xD7]) => {
                self.at += 2;
                self.buffer = 0;
                self.count = 0;
                self.after_ones = false;
                self.ended = false;
                Ok(())
            }
            _ => Err(Fault::NoRestart),
        }
    }

    fn fill_to_marker(&mut self) -> Read<()> {
        // At most the padding of the last byte is unread before a marker.
        for _ in 0..16 {
            self.fill();
            if self.ended {
                return Ok(());
            }
            self.count = 0;
        }
        Err(Fault::Restart)
    }

    /// Bytes that may be skipped to look for the next marker.
    pub fn position(&self) -> usize {
        // Bytes ahead in the buffer belong to the scan; markers are found by their first byte anyway.
        self.at.saturating_sub(self.count as usize / 7 + 1)
    }
}
