//! Markers, frame and scan headers, tables.

use super::huffman::Table;
use crate::error::{Result, StudyError};

/// Zigzag order: position in the stream to position in the block. Source: T.81 figure A.6.
#[rustfmt::skip]
pub(super) const ZIGZAG: [u8; 64] = [
     0,  1,  8, 16,  9,  2,  3, 10, 17, 24, 32, 25, 18, 11,  4,  5,
    12, 19, 26, 33, 40, 48, 41, 34, 27, 20, 13,  6,  7, 14, 21, 28,
    35, 42, 49, 56, 57, 50, 43, 36, 29, 22, 15, 23, 30, 37, 44, 51,
    58, 59, 52, 45, 38, 31, 39, 46, 53, 60, 61, 54, 47, 55, 62, 63,
];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Process {
    Sequential,
    Progressive,
    Lossless,
}

#[derive(Debug, Clone)]
pub(super) struct Component {
    pub id: u8,
    pub h: u32,
    pub v: u32,
    pub table: usize,
}

#[derive(Debug, Clone)]
pub(super) struct Frame {
    pub process: Process,
    pub precision: u8,
    pub width: u32,
    pub height: u32,
    pub components: Vec<Component>,
    pub h_max: u32,
    pub v_max: u32,
}

impl Frame {
    /// Reads a start-of-frame segment; a height of 0, to be defined later, takes `rows`.
    pub fn read(code: u8, s: &[u8], rows: u32) -> Result<Self> {
        let process = match code {
            0xC0 | 0xC1 => Process::Sequential,
            0xC2 => Process::Progressive,
            0xC3 => Process::Lossless,
            0xC5..=0xC7 | 0xCD..=0xCF => {
                return Err(StudyError::unsupported("hierarchical JPEG"));
            }
            _ => return Err(StudyError::unsupported("arithmetic-coded JPEG")),
        };
        let short = || StudyError::truncated("the JPEG frame header");
        let &[precision, y1, y0, x1, x0, count] = s.first_chunk::<6>().ok_or_else(short)?;
        let height = u32::from(u16::from_be_bytes([y1, y0]));
        let width = u32::from(u16::from_be_bytes([x1, x0]));
        let valid_precision = match process {
            Process::Lossless => (2..=16).contains(&precision),
            _ => precision == 8 || precision == 12,
        };
        if !valid_precision || width == 0 || !matches!(count, 1 | 3) {
            return Err(StudyError::unsupported(format!(
                "JPEG with {precision} bits and {count} components"
            )));
        }
        let fields = s
            .get(6..6 + 3 * usize::from(count))
            .ok_or_else(short)?
            .as_chunks::<3>()
            .0;
        let components: Vec<Component> = fields
            .iter()
            .map(|&[id, sampling, table]| Component {
                id,
                h: u32::from(sampling >> 4),
                v: u32::from(sampling & 15),
                table: usize::from(table & 3),
            })
            .collect();
        if components
            .iter()
            .any(|c| !(1..=4).contains(&c.h) || !(1..=4).contains(&c.v))
        {
            return Err(StudyError::corrupt("JPEG sampling factors"));
        }
        let h_max = components.iter().map(|c| c.h).max().unwrap_or(1);
        let v_max = components.iter().map(|c| c.v).max().unwrap_or(1);
        Ok(Self {
            process,
            precision,
            width,
            height: if height == 0 { rows } else { height },
            components,
            h_max,
            v_max,
        })
    }

    /// Samples of a component: columns, rows. Source: T.81 A.1.1.
    pub fn component_size(&self, component: &Component) -> (usize, usize) {
        let columns = (self.width * component.h).div_ceil(self.h_max);
        let rows = (self.height * component.v).div_ceil(self.v_max);
        (columns as usize, rows as usize)
    }

    /// Minimum coded units of an interleaved scan of 8 × 8 blocks: columns, rows.
    pub fn mcus(&self) -> (usize, usize) {
        let columns = self.width.div_ceil(8 * self.h_max);
        let rows = self.height.div_ceil(8 * self.v_max);
        (columns as usize, rows as usize)
    }
}

pub(super) struct ScanComponent {
    /// Index into [`Frame::components`].
    pub index: usize,
    pub dc: usize,
    pub ac: usize,
}

pub(super) struct Scan {
    pub components: Vec<ScanComponent>,
    /// Spectral selection, or the predictor of a lossless scan.
    pub start: u8,
    pub end: u8,
    /// Successive approximation; `low` is also the point transform.
    pub high: u8,
    pub low: u8,
}

impl Scan {
    pub fn read(s: &[u8], frame: &Frame) -> Result<Self> {
        let wrong = || StudyError::corrupt("the JPEG scan header");
        let count = usize::from(*s.first().ok_or_else(wrong)?);
        let selectors = s
            .get(1..1 + 2 * count)
            .ok_or_else(wrong)?
            .as_chunks::<2>()
            .0;
        let &[start, end, approximation] = s
            .get(1 + 2 * count..)
            .and_then(|t| t.first_chunk::<3>())
            .ok_or_else(wrong)?;
        let mut components = Vec::new();
        for &[id, tables] in selectors {
            let index = frame
                .components
                .iter()
                .position(|c| c.id == id)
                .ok_or_else(wrong)?;
            if components.iter().any(|c: &ScanComponent| c.index == index) {
                return Err(wrong());
            }
            components.push(ScanComponent {
                index,
                dc: usize::from(tables >> 4 & 3),
                ac: usize::from(tables & 3),
            });
        }
        if components.is_empty() {
            return Err(wrong());
        }
        Ok(Self {
            components,
            start,
            end,
            high: approximation >> 4,
            low: approximation & 15,
        })
    }
}

/// Everything that table segments define.
#[derive(Default)]
pub(super) struct Tables {
    pub quantisation: [Option<[u16; 64]>; 4],
    pub dc: [Option<Table>; 4],
    pub ac: [Option<Table>; 4],
    pub restart_interval: u32,
    pub jfif: bool,
    pub adobe_transform: Option<u8>,
}

impl Tables {
    pub fn read(&mut self, segment: Segment<'_>) -> Result<()> {
        let s = segment.bytes;
        match segment.code {
            0xDB => self.quantisation(s),
            0xC4 => self.huffman(s),
            0xDD => {
                let field = s
                    .first_chunk::<2>()
                    .ok_or_else(|| StudyError::corrupt("the JPEG restart interval"))?;
                self.restart_interval = u32::from(u16::from_be_bytes(*field));
                Ok(())
            }
            0xE0 => {
                self.jfif |= s.starts_with(b"JFIF");
                Ok(())
            }
            0xEE if s.starts_with(b"Adobe") => {
                self.adobe_transform = s.get(11).copied();
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn quantisation(&mut self, mut s: &[u8]) -> Result<()> {
        let short = || StudyError::corrupt("a JPEG quantisation table");
        while let Some((&head, rest)) = s.split_first() {
            let wide = head >> 4 != 0;
            let bytes = if wide { 128 } else { 64 };
            let (values, rest) = rest.split_at_checked(bytes).ok_or_else(short)?;
            let mut table = [0; 64];
            for (i, position) in ZIGZAG.iter().enumerate() {
                table[usize::from(*position)] = if wide {
                    u16::from_be_bytes([values[2 * i], values[2 * i + 1]])
                } else {
                    u16::from(values[i])
                };
            }
            self.quantisation[usize::from(head & 3)] = Some(table);
            s = rest;
        }
        Ok(())
    }

    fn huffman(&mut self, mut s: &[u8]) -> Result<()> {
        let short = || StudyError::corrupt("a JPEG Huffman table");
        while let Some((&head, rest)) = s.split_first() {
            let (counts, rest) = rest.split_first_chunk::<16>().ok_or_else(short)?;
            let total: usize = counts.iter().map(|c| usize::from(*c)).sum();
            let (values, rest) = rest.split_at_checked(total).ok_or_else(short)?;
            let table = Table::new(counts, values).ok_or_else(short)?;
            let slot = usize::from(head & 3);
            if head >> 4 == 0 {
                self.dc[slot] = Some(table);
            } else {
                self.ac[slot] = Some(table);
            }
            s = rest;
        }
        Ok(())
    }
}

#[derive(Clone, Copy)]
pub(super) struct Segment<'a> {
    pub code: u8,
    pub bytes: &'a [u8],
}

pub(super) enum Marker<'a> {
    Tables(Segment<'a>),
    Frame(u8, &'a [u8]),
    Scan(&'a [u8]),
    End,
}

/// Walks marker segments.
pub(super) struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    pub fn new(bytes: &'a [u8]) -> Result<Self> {
        if !bytes.starts_with(&[0xFF, 0xD8]) {
            return Err(StudyError::corrupt("no JPEG start of image"));
        }
        Ok(Self { bytes, at: 2 })
    }

    pub fn rest(&self) -> &'a [u8] {
        self.bytes.get(self.at..).unwrap_or(&[])
    }

    pub fn skip(&mut self, count: usize) {
        self.at += count;
    }

    /// True when no marker follows.
    pub fn is_at_end(&self) -> bool {
        !self.rest().windows(2).any(|w| w[0] == 0xFF && w[1] >= 0xC0)
    }

    pub fn next_marker(&mut self) -> Result<Marker<'a>> {
        let end = || StudyError::truncated("the JPEG stream");
        loop {
            // Fill bytes and garbage between segments.
            while *self.bytes.get(self.at).ok_or_else(end)? != 0xFF {
                self.at += 1;
            }
            while *self.bytes.get(self.at).ok_or_else(end)? == 0xFF {
                self.at += 1;
            }
            let code = self.bytes[self.at];
            self.at += 1;
            match code {
                0xD9 => return Ok(Marker::End),
                // Stuffed zeros, restarts and parameterless markers.
                0x00 | 0x01 | 0xD0..=0xD8 => {}
                _ => {
                    let field = self.rest().first_chunk::<2>().ok_or_else(end)?;
                    let length = usize::from(u16::from_be_bytes(*field));
                    let segment = self.rest().get(2..length).ok_or_else(end)?;
                    self.at += length;
                    return Ok(match code {
                        0xC4 | 0xDB | 0xDD | 0xE0..=0xEF | 0xFE | 0xDC => Marker::Tables(Segment {
                            code,
                            bytes: segment,
                        }),
                        0xC0..=0xCF => Marker::Frame(code, segment),
                        0xDA => Marker::Scan(segment),
                        _ => continue,
                    });
                }
            }
        }
    }
}
