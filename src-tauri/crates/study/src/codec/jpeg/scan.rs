//! Scans of transform coefficients, sequential and progressive. Source: T.81 annexes F and G.

use super::bits::Bits;
use super::header::{Frame, Process, Scan, Tables, ZIGZAG};
use super::huffman::Table;
use super::{dct, upsample};
use crate::codec::Samples;
use crate::error::{Result, StudyError};

struct Plane {
    /// Blocks across and down, padded to whole minimum coded units.
    across: usize,
    down: usize,
    /// `across * down` blocks of 64 coefficients in block order.
    blocks: Vec<[i16; 64]>,
}

pub(super) struct Coefficients {
    pub frame: Frame,
    planes: Vec<Plane>,
    /// Components that a scan has brought DC coefficients for.
    pub seen: Vec<bool>,
}

/// State that a restart resets.
struct Run {
    predictors: Vec<i32>,
    end_of_band: u32,
}

fn missing_table() -> StudyError {
    StudyError::corrupt("a JPEG scan without its tables")
}

impl Coefficients {
    pub fn new(frame: Frame) -> Self {
        let (mcus_across, mcus_down) = frame.mcus();
        let plane = |c: &super::header::Component| {
            let across = mcus_across * c.h as usize;
            let down = mcus_down * c.v as usize;
            Plane {
                across,
                down,
                blocks: vec![[0; 64]; across * down],
            }
        };
        Self {
            planes: frame.components.iter().map(plane).collect(),
            seen: vec![false; frame.components.len()],
            frame,
        }
    }

    pub fn scan(&mut self, scan: &Scan, data: &[u8], tables: &Tables) -> Result<usize> {
        let progressive = self.frame.process == Process::Progressive;
        let band = scan.start..=scan.end;
        let valid = match progressive {
            false => true,
            true if scan.start == 0 => scan.end == 0 && scan.low < 14,
            true => {
                scan.components.len() == 1 && scan.end < 64 && !band.is_empty() && scan.low < 14
            }
        };
        if !valid {
            return Err(StudyError::corrupt("a progressive JPEG scan"));
        }
        let mut bits = Bits::new(data);
        let mut run = Run {
            predictors: vec![0; self.frame.components.len()],
            end_of_band: 0,
        };
        // A scan of one component walks its own blocks, not the padded ones.
        let (across, down) = if let [only] = scan.components.as_slice() {
            let component = &self.frame.components[only.index];
            let (columns, rows) = self.frame.component_size(component);
            (columns.div_ceil(8), rows.div_ceil(8))
        } else {
            self.frame.mcus()
        };
        let mut until_restart = tables.restart_interval;
        for mcu in 0..across * down {
            if tables.restart_interval > 0 {
                if until_restart == 0 {
                    bits.restart()?;
                    run.predictors.fill(0);
                    run.end_of_band = 0;
                    until_restart = tables.restart_interval;
                }
                until_restart -= 1;
            }
            let (x, y) = (mcu % across, mcu / across);
            self.unit(scan, &mut bits, tables, &mut run, x, y)?;
        }
        if scan.start == 0 {
            for component in &scan.components {
                self.seen[component.index] = true;
            }
        }
        Ok(bits.position())
    }

    fn unit(
        &mut self,
        scan: &Scan,
        bits: &mut Bits<'_>,
        tables: &Tables,
        run: &mut Run,
        x: usize,
        y: usize,
    ) -> Result<()> {
        let alone = scan.components.len() == 1;
        for selected in &scan.components {
            let component = &self.frame.components[selected.index];
            let (h, v) = match alone {
                true => (1, 1),
                false => (component.h as usize, component.v as usize),
            };
            let dc = tables.dc[selected.dc].as_ref();
            let ac = tables.ac[selected.ac].as_ref();
            let plane = &mut self.planes[selected.index];
            for row in 0..v {
                for column in 0..h {
                    let at = (y * v + row) * plane.across + x * h + column;
                    let block = &mut plane.blocks[at];
                    let predictor = &mut run.predictors[selected.index];
                    match (self.frame.process, scan.start, scan.high) {
                        (Process::Progressive, 0, 0) => {
                            let dc = dc.ok_or_else(missing_table)?;
                            let value = dc_value(bits, dc, predictor)?;
                            block[0] = value.wrapping_shl(u32::from(scan.low)) as i16;
                        }
                        (Process::Progressive, 0, _) => {
                            block[0] |= (bits.read(1)? << scan.low) as i16;
                        }
                        (Process::Progressive, _, 0) => {
                            let ac = ac.ok_or_else(missing_table)?;
                            ac_first(bits, ac, block, scan, &mut run.end_of_band)?;
                        }
                        (Process::Progressive, ..) => {
                            let ac = ac.ok_or_else(missing_table)?;
                            ac_refine(bits, ac, block, scan, &mut run.end_of_band)?;
                        }
                        _ => {
                            let dc = dc.ok_or_else(missing_table)?;
                            let ac = ac.ok_or_else(missing_table)?;
                            block[0] = dc_value(bits, dc, predictor)? as i16;
                            sequential_ac(bits, ac, block)?;
                        }
                    }
                }
            }
        }
        Ok(())
    }

    /// Transforms, upsamples and interleaves.
    pub fn finish(self, tables: &Tables) -> Result<Samples> {
        let frame = &self.frame;
        let mut planes = Vec::new();
        for (component, plane) in frame.components.iter().zip(&self.planes) {
            let table = tables.quantisation[component.table]
                .as_ref()
                .ok_or_else(missing_table)?;
            let (columns, rows) = frame.component_size(component);
            let stride = plane.across * 8;
            let mut samples = vec![0u16; stride * plane.down * 8];
            for (index, block) in plane.blocks.iter().enumerate() {
                let corner = index / plane.across * 8 * stride + index % plane.across * 8;
                dct::inverse(
                    block,
                    table,
                    frame.precision,
                    &mut samples[corner..],
                    stride,
                );
            }
            planes.push(upsample::full_size(
                &samples, stride, columns, rows, component, frame,
            ));
        }
        Ok(Samples::interleave(&planes, u16::from(frame.precision)))
    }
}

fn dc_value(bits: &mut Bits<'_>, table: &Table, predictor: &mut i32) -> Result<i32> {
    let category = u32::from(table.decode(bits)?);
    if category > 16 {
        return Err(StudyError::corrupt("a JPEG magnitude category"));
    }
    *predictor = predictor.wrapping_add(bits.receive_extend(category)?);
    Ok(*predictor)
}

fn sequential_ac(bits: &mut Bits<'_>, table: &Table, block: &mut [i16; 64]) -> Result<()> {
    let mut k = 1;
    while k < 64 {
        let symbol = table.decode(bits)?;
        let (zeros, category) = (usize::from(symbol >> 4), u32::from(symbol & 15));
        if category == 0 {
            if zeros < 15 {
                break;
            }
            k += 16;
            continue;
        }
        k += zeros;
        let position = *ZIGZAG
            .get(k)
            .ok_or_else(|| StudyError::corrupt("a JPEG block"))?;
        block[usize::from(position)] = bits.receive_extend(category)? as i16;
        k += 1;
    }
    Ok(())
}

fn ac_first(
    bits: &mut Bits<'_>,
    table: &Table,
    block: &mut [i16; 64],
    scan: &Scan,
    end_of_band: &mut u32,
) -> Result<()> {
    if *end_of_band > 0 {
        *end_of_band -= 1;
        return Ok(());
    }
    let mut k = usize::from(scan.start);
    while k <= usize::from(scan.end) {
        let symbol = table.decode(bits)?;
        let (run, category) = (u32::from(symbol >> 4), u32::from(symbol & 15));
        if category == 0 {
            if run < 15 {
                *end_of_band = (1 << run) - 1 + bits.read(run)?;
                break;
            }
            k += 16;
            continue;
        }
        k += run as usize;
        let position = *ZIGZAG
            .get(k)
            .ok_or_else(|| StudyError::corrupt("a JPEG block"))?;
        let value = bits.receive_extend(category)? << scan.low;
        block[usize::from(position)] = value as i16;
        k += 1;
    }
    Ok(())
}

/// Refines coefficients that are known and places new ones. Source: T.81 G.1.2.3, figure G.7.
fn ac_refine(
    bits: &mut Bits<'_>,
    table: &Table,
    block: &mut [i16; 64],
    scan: &Scan,
    end_of_band: &mut u32,
) -> Result<()> {
    let bit = 1i16 << scan.low;
    let end = usize::from(scan.end);
    let mut k = usize::from(scan.start);
    if *end_of_band == 0 {
        while k <= end {
            let symbol = table.decode(bits)?;
            let (mut zeros, category) = (u32::from(symbol >> 4), symbol & 15);
            let mut new = 0;
            if category == 0 {
                if zeros < 15 {
                    *end_of_band = (1 << zeros) + bits.read(zeros)?;
                    break;
                }
            } else {
                new = if bits.read(1)? == 1 { bit } else { -bit };
            }
            while k <= end {
                let value = &mut block[usize::from(ZIGZAG[k])];
                if *value != 0 {
                    refine(bits, value, bit)?;
                } else if zeros == 0 {
                    *value = new;
                    k += 1;
                    break;
                } else {
                    zeros -= 1;
                }
                k += 1;
            }
        }
    }
    if *end_of_band > 0 {
        for position in &ZIGZAG[k.min(64)..=end] {
            let value = &mut block[usize::from(*position)];
            if *value != 0 {
                refine(bits, value, bit)?;
            }
        }
        *end_of_band -= 1;
    }
    Ok(())
}

fn refine(bits: &mut Bits<'_>, value: &mut i16, bit: i16) -> Result<()> {
    if bits.read(1)? == 1 && *value & bit == 0 {
        *value = value.wrapping_add(if *value > 0 { bit } else { -bit });
    }
    Ok(())
}
