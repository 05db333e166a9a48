//! Decoding of what medical images are made of: part 1 with plain code-blocks, all of whose blocks, rows and columns are
//! worked on by the threads of the common pool. Source: ITU-T T.800.

use rayon::prelude::*;

use super::block::{self, Coded};
use super::codestream::{self, Codestream, Component, Tile};
use super::layout::{self, Resolution};
use super::packets::{self, States};
use super::wavelet::{self, Axis, Coefficient};

/// Interleaved samples of a codestream that begins with its start marker.
///
/// `None` if it is damaged or cut short, or uses what is seldom used: another decoder then says which.
pub(super) fn decode(bytes: &[u8]) -> Option<Vec<i32>> {
    let stream = codestream::read(bytes)?;
    let count = stream.components.len();
    let width = stream.area.width();
    let mut samples = vec![0; width * stream.area.height() * count];
    for tile in &stream.tiles {
        let planes = planes(&stream, tile)?;
        let x = tile.area.x0.checked_sub(stream.area.x0)? as usize;
        let y = tile.area.y0.checked_sub(stream.area.y0)? as usize;
        let (columns, rows) = (tile.area.width(), tile.area.height());
        let into = samples.par_chunks_exact_mut(width * count);
        into.skip(y).take(rows).enumerate().for_each(|(row, into)| {
            let into = &mut into[x * count..][..columns * count];
            for (c, plane) in planes.iter().enumerate() {
                let from = &plane[row * columns..][..columns];
                for (into, from) in into.iter_mut().skip(c).step_by(count).zip(from) {
                    *into = *from;
                }
            }
        });
    }
    Some(samples)
}

/// The samples of a tile, a plane a component.
fn planes(stream: &Codestream<'_>, tile: &Tile<'_>) -> Option<Vec<Vec<i32>>> {
    let components = &stream.components;
    let layers = stream.layers as usize;
    // Every packet takes a byte at least.
    let mut most = tile.bytes.len() / layers;
    let mut divided = Vec::new();
    for component in components {
        let resolutions = layout::resolutions(tile.area, component, most)?;
        most -= resolutions.iter().map(|r| r.precincts.len()).sum::<usize>();
        divided.push(resolutions);
    }
    let states = packets::read(stream, &divided, &tile.bytes)?;
    let reversible = components.first()?.style.reversible;
    let alike = components.iter().all(|c| c.style.reversible == reversible);
    let transformed = stream.colour_transform && components.len() >= 3;
    alike.then_some(())?;
    match reversible {
        true => {
            let mut planes = transform::<i32>(components, &divided, &states, tile)?;
            if transformed {
                colours(&mut planes, |y, b, r| {
                    let green = y.wrapping_sub(b.wrapping_add(r) >> 2);
                    [r.wrapping_add(green), green, b.wrapping_add(green)]
                })?;
            }
            Some(finish(planes, components, |v| v))
        }
        false => {
            let mut planes = transform::<f32>(components, &divided, &states, tile)?;
            if transformed {
                colours(&mut planes, |y, b, r| {
                    let green = y - b * 0.344_13 - r * 0.714_14;
                    [y + r * 1.402, green, y + b * 1.772]
                })?;
            }
            Some(finish(planes, components, |v| v.round_ties_even() as i32))
        }
    }
}

/// A code-block that is to be decoded, and where its coefficients go.
struct Job<'a> {
    component: usize,
    place: usize,
    step: f32,
    parts: Vec<&'a [u8]>,
    coded: Coded<'a>,
}

/// Decodes the code-blocks and joins the subbands of every component.
fn transform<T: Coefficient>(
    components: &[Component],
    divided: &[Vec<Resolution>],
    states: &States,
    tile: &Tile<'_>,
) -> Option<Vec<Vec<T>>> {
    let width = tile.area.width();
    let mut jobs = Vec::new();
    for (c, component) in components.iter().enumerate() {
        for (resolution, states) in divided[c].iter().zip(&states[c]) {
            gather(c, component, resolution, states, tile, &mut jobs)?;
        }
    }
    let decoded: Vec<Vec<T>> = jobs.par_iter().map(run).collect();
    let mut planes = vec![vec![T::default(); width * tile.area.height()]; components.len()];
    for (job, values) in jobs.iter().zip(&decoded) {
        let plane = &mut planes[job.component][job.place..];
        let rows = plane.chunks_mut(width);
        for (row, values) in rows.zip(values.chunks_exact(job.coded.width)) {
            row[..values.len()].copy_from_slice(values);
        }
    }
    for (plane, resolutions) in planes.iter_mut().zip(divided) {
        for resolution in &resolutions[1..] {
            let area = resolution.area;
            let across = Axis {
                length: area.width(),
                starts_high: area.x0 % 2 == 1,
            };
            let down = Axis {
                length: area.height(),
                starts_high: area.y0 % 2 == 1,
            };
            wavelet::join(plane, width, across, down);
        }
    }
    Some(planes)
}

/// The code-blocks of a resolution that packets gave something to.
fn gather<'a>(
    component: usize,
    of: &Component,
    resolution: &Resolution,
    states: &[Vec<packets::BandState>],
    tile: &'a Tile<'_>,
    jobs: &mut Vec<Job<'a>>,
) -> Option<()> {
    for (precinct, states) in resolution.precincts.iter().zip(states) {
        let bands = precinct.bands.iter().zip(states).zip(&resolution.bands);
        for ((blocks, state), band) in bands {
            for (area, found) in blocks.areas.iter().zip(&state.blocks) {
                let Some(zero_planes) = found.zero_planes else {
                    continue;
                };
                let planes = band.planes.checked_sub(zero_planes)?;
                (planes <= 30).then_some(())?;
                let x = band.place[0] + (area.x0 - band.area.x0) as usize;
                let y = band.place[1] + (area.y0 - band.area.y0) as usize;
                jobs.push(Job {
                    component,
                    place: y * tile.area.width() + x,
                    step: band.step,
                    parts: found.bytes.iter().map(|r| &tile.bytes[r.clone()]).collect(),
                    coded: Coded {
                        width: area.width(),
                        height: area.height(),
                        orientation: band.orientation,
                        planes,
                        passes: found.passes,
                        bytes: &[],
                        symbols: of.style.symbols,
                    },
                });
            }
        }
    }
    Some(())
}

fn run<T: Coefficient>(job: &Job<'_>) -> Vec<T> {
    let joined: Vec<u8>;
    let bytes = match job.parts.as_slice() {
        [only] => only,
        parts => {
            joined = parts.concat();
            joined.as_slice()
        }
    };
    let coded = Coded { bytes, ..job.coded };
    let doubled = block::decode(&coded);
    doubled
        .into_iter()
        .map(|v| T::dequantised(v, job.step))
        .collect()
}

/// Turns luminance and two differences to colours. Source: annex G.
fn colours<T: Coefficient>(
    planes: &mut [Vec<T>],
    turn: impl Fn(T, T, T) -> [T; 3] + Sync,
) -> Option<()> {
    let [y, b, r, ..] = planes else {
        return None;
    };
    const PIECE: usize = 1 << 14;
    let chunks = y.par_chunks_mut(PIECE).zip(b.par_chunks_mut(PIECE));
    chunks.zip(r.par_chunks_mut(PIECE)).for_each(|((y, b), r)| {
        for ((y, b), r) in y.iter_mut().zip(b).zip(r) {
            [*y, *b, *r] = turn(*y, *b, *r);
        }
    });
    Some(())
}

/// Moves unsigned samples to where they begin at zero, and cuts what is beyond the range. Source: G.1.
fn finish<T: Coefficient>(
    planes: Vec<Vec<T>>,
    components: &[Component],
    whole: impl Fn(T) -> i32 + Sync,
) -> Vec<Vec<i32>> {
    let finished = |(plane, component): (Vec<T>, &Component)| {
        let half = 1 << (component.precision - 1);
        let (shift, low, high) = match component.signed {
            true => (0, -half, half - 1),
            false => (half, 0, 2 * half - 1),
        };
        let value = |v: T| whole(v).saturating_add(shift).clamp(low, high);
        plane
            .into_par_iter()
            .with_min_len(1 << 14)
            .map(value)
            .collect()
    };
    planes.into_iter().zip(components).map(finished).collect()
}
