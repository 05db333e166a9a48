//! Headers of a codestream, and the bytes of its tiles. Source: ITU-T T.800 annex A.

use std::borrow::Cow;

/// Edges of something on the reference grid or in a subband: left, top, right, bottom.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Area {
    pub x0: u32,
    pub y0: u32,
    pub x1: u32,
    pub y1: u32,
}

impl Area {
    pub(super) fn width(self) -> usize {
        self.x1.saturating_sub(self.x0) as usize
    }

    pub(super) fn height(self) -> usize {
        self.y1.saturating_sub(self.y0) as usize
    }

    pub(super) fn is_empty(self) -> bool {
        self.width() == 0 || self.height() == 0
    }

    /// Both edges by a function: one for the horizontal axis, one for the vertical.
    pub(super) fn mapped(self, x: impl Fn(u32) -> u32, y: impl Fn(u32) -> u32) -> Self {
        Self {
            x0: x(self.x0),
            y0: y(self.y0),
            x1: x(self.x1),
            y1: y(self.y1),
        }
    }

    pub(super) fn cut(self, by: Self) -> Self {
        Self {
            x0: self.x0.max(by.x0),
            y0: self.y0.max(by.y0),
            x1: self.x1.min(by.x1),
            y1: self.y1.min(by.y1),
        }
    }
}

/// Order of packets. Source: table A.16.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Progression {
    LayerResolution,
    ResolutionLayer,
    ResolutionPosition,
    PositionComponent,
    ComponentPosition,
}

/// How a component is coded: COD or COC.
#[derive(Debug, Clone)]
pub(super) struct Style {
    /// Decompositions; there is one resolution more.
    pub levels: u32,
    /// Exponents of a code-block's width and height.
    pub block: [u32; 2],
    /// Each bit plane ends with four bits that say nothing.
    pub symbols: bool,
    /// 5/3 of integers; else 9/7 of floats.
    pub reversible: bool,
    /// Exponents of a precinct's width and height, a pair a resolution.
    pub precincts: Vec<[u32; 2]>,
}

/// How a component is quantised: QCD or QCC.
#[derive(Debug, Clone)]
pub(super) struct Quantisation {
    pub guard_bits: u32,
    /// Exponent and mantissa of each subband; one pair alone if the others follow from it.
    pub steps: Vec<[u32; 2]>,
    pub derived: bool,
}

/// What a component is.
#[derive(Debug, Clone)]
pub(super) struct Component {
    pub precision: u32,
    pub signed: bool,
    pub style: Style,
    pub quantisation: Quantisation,
}

/// A tile: its number, and its packets.
pub(super) struct Tile<'a> {
    pub area: Area,
    pub bytes: Cow<'a, [u8]>,
}

pub(super) struct Codestream<'a> {
    pub area: Area,
    pub components: Vec<Component>,
    pub progression: Progression,
    pub layers: u32,
    pub colour_transform: bool,
    /// Packets may begin and their headers may end with a marker.
    pub packet_markers: [bool; 2],
    pub tiles: Vec<Tile<'a>>,
}

/// Reads numbers of a marker segment.
struct Fields<'a>(&'a [u8]);

impl Fields<'_> {
    fn byte(&mut self) -> Option<u32> {
        let (first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(u32::from(*first))
    }

    fn half(&mut self) -> Option<u32> {
        Some(self.byte()? << 8 | self.byte()?)
    }

    fn word(&mut self) -> Option<u32> {
        Some(self.half()? << 16 | self.half()?)
    }
}

/// Parts of the main header as they come.
#[derive(Default)]
struct Main {
    grid: Option<Grid>,
    common: Option<Common>,
    quantisation: Option<Quantisation>,
    styles: Vec<(usize, Style)>,
    quantisations: Vec<(usize, Quantisation)>,
}

struct Grid {
    area: Area,
    tile: [u32; 2],
    offset: [u32; 2],
    /// Precision and sign of each component.
    components: Vec<(u32, bool)>,
}

struct Common {
    progression: Progression,
    layers: u32,
    colour_transform: bool,
    packet_markers: [bool; 2],
    style: Style,
}

/// Reads a codestream that begins with its start marker.
///
/// `None` if it is damaged or cut short, or uses what is seldom used: another decoder then says which.
pub(super) fn read(bytes: &[u8]) -> Option<Codestream<'_>> {
    let mut at = 2;
    let mut main = Main::default();
    loop {
        let (code, segment) = segment(bytes, &mut at)?;
        match code {
            0x51 => main.grid = Some(grid(segment)?),
            0x52 => main.common = Some(common(segment)?),
            0x53 => {
                let (component, mut fields) = main.component(segment)?;
                let defined = fields.byte()? & 1 == 1;
                main.styles.push((component, style(fields, defined)?));
            }
            0x5C => main.quantisation = Some(quantisation(Fields(segment))?),
            0x5D => {
                let (component, fields) = main.component(segment)?;
                main.quantisations.push((component, quantisation(fields)?));
            }
            // Lengths of tile-parts and packets, registration, comments.
            0x55 | 0x57 | 0x63 | 0x64 => {}
            0x90 => break,
            _ => return None,
        }
    }
    // The marker of the first tile-part.
    at -= 12;
    main.finish(bytes, at)
}

/// The next marker segment without its length.
fn segment<'a>(bytes: &'a [u8], at: &mut usize) -> Option<(u8, &'a [u8])> {
    let &[0xFF, code, l1, l0] = bytes.get(*at..)?.first_chunk::<4>()? else {
        return None;
    };
    let length = usize::from(u16::from_be_bytes([l1, l0]));
    let segment = bytes.get(*at + 4..*at + 2 + length)?;
    *at += 2 + length;
    Some((code, segment))
}

fn grid(segment: &[u8]) -> Option<Grid> {
    let mut f = Fields(segment);
    f.half()?;
    let (x1, y1, x0, y0) = (f.word()?, f.word()?, f.word()?, f.word()?);
    let tile = [f.word()?, f.word()?];
    let offset = [f.word()?, f.word()?];
    let count = f.half()?;
    let components = (0..count)
        .map(|_| {
            let depth = f.byte()?;
            let sampling = [f.byte()?, f.byte()?];
            (sampling == [1, 1]).then_some(((depth & 0x7F) + 1, depth & 0x80 != 0))
        })
        .collect::<Option<Vec<_>>>()?;
    let sound = x0 < x1 && y0 < y1 && x1.max(y1) < 1 << 30 && tile[0] > 0 && tile[1] > 0;
    let covers = offset[0] <= x0
        && offset[1] <= y0
        && u64::from(offset[0]) + u64::from(tile[0]) > u64::from(x0)
        && u64::from(offset[1]) + u64::from(tile[1]) > u64::from(y0);
    (sound && covers && components.iter().all(|(p, _)| *p <= 24)).then_some(Grid {
        area: Area { x0, y0, x1, y1 },
        tile,
        offset,
        components,
    })
}

fn common(segment: &[u8]) -> Option<Common> {
    let mut f = Fields(segment);
    let defined = f.byte()?;
    let progression = match f.byte()? {
        0 => Progression::LayerResolution,
        1 => Progression::ResolutionLayer,
        2 => Progression::ResolutionPosition,
        3 => Progression::PositionComponent,
        4 => Progression::ComponentPosition,
        _ => return None,
    };
    let layers = f.half()?;
    let transform = f.byte()?;
    (layers > 0 && transform <= 1).then_some(())?;
    Some(Common {
        progression,
        layers,
        colour_transform: transform == 1,
        packet_markers: [defined & 2 != 0, defined & 4 != 0],
        style: style(f, defined & 1 == 1)?,
    })
}

/// Source: table A.20.
fn style(mut f: Fields<'_>, precincts_defined: bool) -> Option<Style> {
    let levels = f.byte()?;
    let block = [f.byte()? + 2, f.byte()? + 2];
    let coding = f.byte()?;
    let transform = f.byte()?;
    let mut precincts = vec![[15, 15]; levels as usize + 1];
    if precincts_defined {
        for (r, precinct) in precincts.iter_mut().enumerate() {
            let sizes = f.byte()?;
            *precinct = [sizes & 15, sizes >> 4];
            // A precinct of one sample has no subbands.
            (r == 0 || (precinct[0] > 0 && precinct[1] > 0)).then_some(())?;
        }
    }
    // Of the ways to code a block those with one codeword segment, and marks which need no looking at.
    let plain = coding & !0x30 == 0;
    let sound = levels <= 32 && block[0] <= 10 && block[1] <= 10 && block[0] + block[1] <= 12;
    (plain && sound && transform <= 1).then_some(Style {
        levels,
        block,
        symbols: coding & 0x20 != 0,
        reversible: transform == 1,
        precincts,
    })
}

/// Source: table A.28.
fn quantisation(mut f: Fields<'_>) -> Option<Quantisation> {
    let kind = f.byte()?;
    let mut steps = Vec::new();
    while !f.0.is_empty() {
        steps.push(match kind & 31 {
            0 => [f.byte()? >> 3, 0],
            1 | 2 => {
                let field = f.half()?;
                [field >> 11, field & 0x7FF]
            }
            _ => return None,
        });
    }
    (!steps.is_empty()).then_some(Quantisation {
        guard_bits: kind >> 5,
        steps,
        derived: kind & 31 == 1,
    })
}

impl Main {
    /// The component that a segment begins with, and the rest.
    fn component<'s>(&self, segment: &'s [u8]) -> Option<(usize, Fields<'s>)> {
        let count = self.grid.as_ref()?.components.len();
        let mut f = Fields(segment);
        let component = match count < 257 {
            true => f.byte()?,
            false => f.half()?,
        } as usize;
        (component < count).then_some((component, f))
    }

    fn finish(self, bytes: &[u8], at: usize) -> Option<Codestream<'_>> {
        let (grid, common, quantisation) = (self.grid?, self.common?, self.quantisation?);
        let mut components: Vec<Component> = grid
            .components
            .iter()
            .map(|&(precision, signed)| Component {
                precision,
                signed,
                style: common.style.clone(),
                quantisation: quantisation.clone(),
            })
            .collect();
        for (component, style) in self.styles {
            components[component].style = style;
        }
        for (component, quantisation) in self.quantisations {
            components[component].quantisation = quantisation;
        }
        Some(Codestream {
            tiles: tiles(&grid, bytes, at)?,
            area: grid.area,
            components,
            progression: common.progression,
            layers: common.layers,
            colour_transform: common.colour_transform,
            packet_markers: common.packet_markers,
        })
    }
}

/// Bytes of each tile, its parts joined. Source: A.4.2.
fn tiles<'a>(grid: &Grid, bytes: &'a [u8], mut at: usize) -> Option<Vec<Tile<'a>>> {
    let Area { x0, y0, x1, y1 } = grid.area;
    let [width, height] = grid.tile;
    let [left, top] = grid.offset;
    let across = (x1 - left).div_ceil(width);
    let count = across as usize * (y1 - top).div_ceil(height) as usize;
    let mut parts: Vec<Cow<'a, [u8]>> = vec![Cow::Borrowed(&[]); count];
    loop {
        match bytes.get(at..at + 2)? {
            [0xFF, 0xD9] => break,
            [0xFF, 0x90] => {}
            _ => return None,
        }
        let start = at;
        let (_, header) = segment(bytes, &mut at)?;
        let mut f = Fields(header);
        let (tile, length) = (f.half()? as usize, f.word()? as usize);
        let end = match length {
            0 => bytes.len().checked_sub(2)?,
            length => start.checked_add(length)?,
        };
        while bytes.get(at..at + 2)? != [0xFF, 0x93] {
            match segment(bytes, &mut at)? {
                // Lengths of packets, comments.
                (0x58 | 0x64, _) => {}
                _ => return None,
            }
        }
        let part = bytes.get(at + 2..end)?;
        let tile = parts.get_mut(tile)?;
        match tile.is_empty() {
            true => *tile = Cow::Borrowed(part),
            false => tile.to_mut().extend_from_slice(part),
        }
        at = end;
    }
    let tile = |(number, bytes): (usize, Cow<'a, [u8]>)| {
        let (p, q) = (number as u32 % across, number as u32 / across);
        let area = Area {
            x0: left + p * width,
            y0: top + q * height,
            x1: (left + p * width).saturating_add(width),
            y1: (top + q * height).saturating_add(height),
        };
        Tile {
            area: area.cut(Area { x0, y0, x1, y1 }),
            bytes,
        }
    };
    Some(parts.into_iter().enumerate().map(tile).collect())
}
