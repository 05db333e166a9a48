//! How a tile's component is divided: resolutions, subbands, precincts, code-blocks. Source: ITU-T T.800 annex B.

use super::block::Orientation;
use super::codestream::{Area, Component};

/// A resolution of a tile's component.
pub(super) struct Resolution {
    pub area: Area,
    pub precincts: Vec<Precinct>,
    pub bands: Vec<Band>,
}

/// A subband.
pub(super) struct Band {
    pub area: Area,
    pub orientation: Orientation,
    /// Where its coefficients begin in the component's plane.
    pub place: [usize; 2],
    /// Bit planes that there can be.
    pub planes: u32,
    /// Quantisation step.
    pub step: f32,
}

/// What a packet tells of: the code-blocks of one precinct.
pub(super) struct Precinct {
    /// Where it begins on the reference grid, top before left.
    pub position: [u32; 2],
    /// The code-blocks of each band.
    pub bands: Vec<Blocks>,
}

/// Code-blocks in rows.
pub(super) struct Blocks {
    pub across: usize,
    pub down: usize,
    pub areas: Vec<Area>,
}

/// Divides a component of a tile.
///
/// - `most`: precincts that are believed
///
/// `None` if there would be more, or steps of quantisation are missing.
pub(super) fn resolutions(
    tile: Area,
    component: &Component,
    most: usize,
) -> Option<Vec<Resolution>> {
    let style = &component.style;
    let mut resolutions: Vec<Resolution> = Vec::new();
    let mut left = most;
    for r in 0..=style.levels {
        let down = style.levels - r;
        let halved = |v: u32| u64::from(v).div_ceil(1 << down) as u32;
        let area = tile.mapped(halved, halved);
        let before = resolutions.last().map(|r| r.area);
        let bands = bands(tile, component, r, before)?;
        let precincts = precincts(area, tile, r, component, &bands, left)?;
        left -= precincts.len();
        resolutions.push(Resolution {
            area,
            precincts,
            bands,
        });
    }
    Some(resolutions)
}

/// Source: B.5, E.1.
fn bands(tile: Area, component: &Component, r: u32, before: Option<Area>) -> Option<Vec<Band>> {
    let (style, quantisation) = (&component.style, &component.quantisation);
    let kinds: &[(u32, u32, Orientation)] = match r {
        0 => &[(0, 0, Orientation::LowAcross)],
        _ => &[
            (1, 0, Orientation::HighAcross),
            (0, 1, Orientation::LowAcross),
            (1, 1, Orientation::HighBoth),
        ],
    };
    let level = match r {
        0 => style.levels,
        r => style.levels - r + 1,
    };
    kinds
        .iter()
        .enumerate()
        .map(|(i, &(high_across, high_down, orientation))| {
            let axis = |high: u32| {
                move |v: u32| {
                    let shift = match high {
                        0 => 0,
                        _ => 1i64 << (level - 1),
                    };
                    let v = i64::from(v) - shift;
                    ((v + (1 << level) - 1) >> level) as u32
                }
            };
            let area = tile.mapped(axis(high_across), axis(high_down));
            let number = match r {
                0 => 0,
                r => 3 * (r as usize - 1) + 1 + i,
            };
            let [exponent, mantissa] = match quantisation.derived {
                true => {
                    let [exponent, mantissa] = quantisation.steps[0];
                    [exponent.saturating_sub(r.saturating_sub(1)), mantissa]
                }
                false => *quantisation.steps.get(number)?,
            };
            let size = 1.0 + f64::from(mantissa) / 2048.0;
            let step = size * (f64::from(component.precision) - f64::from(exponent)).exp2();
            let [x, y] = before.map_or([0, 0], |b| [b.width(), b.height()]);
            Some(Band {
                area,
                orientation,
                place: [x * high_across as usize, y * high_down as usize],
                planes: (quantisation.guard_bits + exponent).checked_sub(1)?,
                step: step as f32,
            })
        })
        .collect()
}

/// Source: B.6, B.7.
fn precincts(
    area: Area,
    tile: Area,
    r: u32,
    component: &Component,
    bands: &[Band],
    most: usize,
) -> Option<Vec<Precinct>> {
    if area.is_empty() {
        return Some(Vec::new());
    }
    let style = &component.style;
    let [px, py] = style.precincts[r as usize];
    let down = style.levels - r;
    let columns = (area.x0 >> px)..((area.x1 - 1) >> px) + 1;
    let rows = (area.y0 >> py)..((area.y1 - 1) >> py) + 1;
    if columns.len().checked_mul(rows.len())? > most {
        return None;
    }
    // In a subband a precinct is half as large, but for the lowest.
    let halves = u32::from(r > 0);
    let block = [
        style.block[0].min(px - halves),
        style.block[1].min(py - halves),
    ];
    let mut precincts = Vec::with_capacity(columns.len() * rows.len());
    for row in rows {
        for column in columns.clone() {
            let edge = |v: u32, exponent: u32| ((u64::from(v)) << exponent).min(1 << 31) as u32;
            let within = |band: &Band| {
                let part = Area {
                    x0: edge(column, px - halves),
                    y0: edge(row, py - halves),
                    x1: edge(column + 1, px - halves),
                    y1: edge(row + 1, py - halves),
                };
                blocks(part.cut(band.area), block)
            };
            let position = |number: u32, exponent: u32, from: u32| {
                let start = u64::from(number) << (exponent + down).min(63);
                start.max(u64::from(from)) as u32
            };
            precincts.push(Precinct {
                position: [position(row, py, tile.y0), position(column, px, tile.x0)],
                bands: bands.iter().map(within).collect(),
            });
        }
    }
    Some(precincts)
}

fn blocks(area: Area, [bx, by]: [u32; 2]) -> Blocks {
    if area.is_empty() {
        return Blocks {
            across: 0,
            down: 0,
            areas: Vec::new(),
        };
    }
    let columns = (area.x0 >> bx)..((area.x1 - 1) >> bx) + 1;
    let rows = (area.y0 >> by)..((area.y1 - 1) >> by) + 1;
    let mut areas = Vec::with_capacity(columns.len() * rows.len());
    for row in rows.clone() {
        for column in columns.clone() {
            let block = Area {
                x0: column << bx,
                y0: row << by,
                x1: (column + 1) << bx,
                y1: (row + 1) << by,
            };
            areas.push(block.cut(area));
        }
    }
    Blocks {
        across: columns.len(),
        down: rows.len(),
        areas,
    }
}
