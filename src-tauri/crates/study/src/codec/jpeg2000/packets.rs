//! Packets: which code-blocks go on in a layer, and with which bytes. Source: ITU-T T.800 annex B.9 to B.12.

use std::ops::Range;

use super::codestream::{Codestream, Progression};
use super::layout::{Blocks, Resolution};

/// What the packets have said of a code-block so far.
#[derive(Debug, Clone, Default)]
pub(super) struct Found {
    /// Bit planes that are all zero; none before the block is first included.
    pub zero_planes: Option<u32>,
    pub passes: u32,
    /// Where its bytes are among the tile's.
    pub bytes: Vec<Range<usize>>,
    length_bits: u32,
}

/// What is known of a band of a precinct.
pub(super) struct BandState {
    inclusion: TagTree,
    zero_planes: TagTree,
    pub blocks: Vec<Found>,
}

impl BandState {
    fn new(blocks: &Blocks) -> Self {
        Self {
            inclusion: TagTree::new(blocks.across, blocks.down),
            zero_planes: TagTree::new(blocks.across, blocks.down),
            blocks: vec![Found::default(); blocks.areas.len()],
        }
    }
}

/// States of the bands of every precinct, by component and resolution.
pub(super) type States = Vec<Vec<Vec<Vec<BandState>>>>;

/// Reads all packets of a tile.
///
/// `None` if they are damaged or fewer than there should be.
pub(super) fn read(
    stream: &Codestream<'_>,
    components: &[Vec<Resolution>],
    bytes: &[u8],
) -> Option<States> {
    let mut states: States = components
        .iter()
        .map(|resolutions| {
            let precincts = |r: &Resolution| {
                let bands =
                    |p: &super::layout::Precinct| p.bands.iter().map(BandState::new).collect();
                r.precincts.iter().map(bands).collect()
            };
            resolutions.iter().map(precincts).collect()
        })
        .collect();
    let mut at = 0;
    for (layer, [c, r, p]) in order(stream, components) {
        let blocks = &components[c][r].precincts[p].bands;
        let state = &mut states[c][r][p];
        at = packet(bytes, at, layer, blocks, state, stream.packet_markers)?;
    }
    Some(states)
}

/// Layer, and component, resolution and precinct of each packet. Source: B.12.
fn order(
    stream: &Codestream<'_>,
    components: &[Vec<Resolution>],
) -> impl Iterator<Item = (u32, [usize; 3])> + use<> {
    let mut places = Vec::new();
    for (c, resolutions) in components.iter().enumerate() {
        for (r, resolution) in resolutions.iter().enumerate() {
            let precincts = resolution.precincts.iter().enumerate();
            places.extend(precincts.map(|(p, precinct)| ([c, r, p], precinct.position)));
        }
    }
    places.sort_by_key(|([c, r, p], [y, x])| {
        let (y, x) = (*y as usize, *x as usize);
        match stream.progression {
            Progression::LayerResolution | Progression::ResolutionLayer => [*r, *c, *p, 0, 0],
            Progression::ResolutionPosition => [*r, y, x, *c, *p],
            Progression::PositionComponent => [y, x, *c, *r, *p],
            Progression::ComponentPosition => [*c, y, x, *r, *p],
        }
    });
    let layers = stream.layers as usize;
    let layered = stream.progression == Progression::LayerResolution;
    let by_resolution = stream.progression == Progression::ResolutionLayer;
    // Runs of packets within which the layers are the outer loop.
    let mut runs: Vec<Range<usize>> = Vec::new();
    for i in 0..places.len() {
        let joins = i > 0 && (layered || (by_resolution && places[i].0[1] == places[i - 1].0[1]));
        match runs.last_mut() {
            Some(run) if joins => run.end = i + 1,
            _ => runs.push(i..i + 1),
        }
    }
    runs.into_iter().flat_map(move |run| {
        let run: Vec<[usize; 3]> = places[run].iter().map(|(place, _)| *place).collect();
        (0..layers).flat_map(move |layer| {
            let run = run.clone();
            run.into_iter().map(move |place| (layer as u32, place))
        })
    })
}

/// Reads a packet at `at` and returns where the next one is.
fn packet(
    bytes: &[u8],
    mut at: usize,
    layer: u32,
    blocks: &[Blocks],
    states: &mut [BandState],
    [start_marked, end_marked]: [bool; 2],
) -> Option<usize> {
    let marker = |at: usize| bytes.get(at..at + 2);
    if start_marked && marker(at) == Some(&[0xFF, 0x91]) {
        at += 6;
    }
    let mut bits = Bits::new(bytes, at);
    let mut bodies: Vec<(usize, usize, usize)> = Vec::new();
    if bits.take()? == 1 {
        for (band, (blocks, state)) in blocks.iter().zip(&mut *states).enumerate() {
            for index in 0..blocks.areas.len() {
                if let Some(length) = state.header(&mut bits, layer, index, blocks.across)? {
                    bodies.push((band, index, length));
                }
            }
        }
    }
    at = bits.end()?;
    if end_marked && marker(at) == Some(&[0xFF, 0x92]) {
        at += 2;
    }
    for (band, index, length) in bodies {
        let end = at.checked_add(length).filter(|end| *end <= bytes.len())?;
        states[band].blocks[index].bytes.push(at..end);
        at = end;
    }
    Some(at)
}

impl BandState {
    /// What a packet's header says of a code-block: `Some(None)` if it is not included, else the length of its bytes.
    fn header(
        &mut self,
        bits: &mut Bits<'_>,
        layer: u32,
        index: usize,
        across: usize,
    ) -> Option<Option<usize>> {
        let (x, y) = (index % across, index / across);
        let block = &mut self.blocks[index];
        let included = match block.zero_planes {
            Some(_) => bits.take()? == 1,
            None => self.inclusion.reaches(bits, x, y, layer + 1)?,
        };
        if !included {
            return Some(None);
        }
        if block.zero_planes.is_none() {
            let mut planes = 0;
            while !self.zero_planes.reaches(bits, x, y, planes + 1)? {
                planes += 1;
                (planes < 80).then_some(())?;
            }
            block.zero_planes = Some(planes);
            block.length_bits = 3;
        }
        let passes = passes(bits)?;
        while bits.take()? == 1 {
            block.length_bits += 1;
        }
        block.passes += passes;
        let wide = block.length_bits + passes.ilog2();
        (wide <= 31).then_some(())?;
        Some(Some(bits.number(wide)? as usize))
    }
}

/// Source: table B.4.
fn passes(bits: &mut Bits<'_>) -> Option<u32> {
    if bits.take()? == 0 {
        return Some(1);
    }
    if bits.take()? == 0 {
        return Some(2);
    }
    Some(match bits.number(2)? {
        3 => match bits.number(5)? {
            31 => 37 + bits.number(7)?,
            n => 6 + n,
        },
        n => 3 + n,
    })
}

/// Bits of a packet's header: after a byte of ones the next byte holds seven. Source: B.10.1.
struct Bits<'a> {
    bytes: &'a [u8],
    at: usize,
    byte: u32,
    left: u32,
}

impl<'a> Bits<'a> {
    fn new(bytes: &'a [u8], at: usize) -> Self {
        Self {
            bytes,
            at,
            byte: 0,
            left: 0,
        }
    }

    fn take(&mut self) -> Option<u32> {
        if self.left == 0 {
            self.left = if self.byte == 0xFF { 7 } else { 8 };
            self.byte = u32::from(*self.bytes.get(self.at)?);
            self.at += 1;
        }
        self.left -= 1;
        Some(self.byte >> self.left & 1)
    }

    fn number(&mut self, bits: u32) -> Option<u32> {
        (0..bits).try_fold(0, |n, _| Some(n << 1 | self.take()?))
    }

    /// The byte after the header.
    fn end(self) -> Option<usize> {
        // A byte of ones is followed by one more.
        let end = self.at + usize::from(self.byte == 0xFF);
        (end <= self.bytes.len()).then_some(end)
    }
}

/// A tree of minima. Source: B.10.2.
struct TagTree {
    /// Width of each level and where it begins, leaves first.
    levels: Vec<(usize, usize)>,
    /// What is known to be reached, and whether it is the value.
    nodes: Vec<(u32, bool)>,
}

impl TagTree {
    fn new(across: usize, down: usize) -> Self {
        let (mut across, mut down) = (across, down);
        let (mut levels, mut count) = (Vec::new(), 0);
        while across * down > 0 {
            levels.push((across, count));
            count += across * down;
            if across * down == 1 {
                break;
            }
            (across, down) = (across.div_ceil(2), down.div_ceil(2));
        }
        Self {
            levels,
            nodes: vec![(0, false); count],
        }
    }

    /// Whether the value of a leaf is below `threshold`.
    fn reaches(&mut self, bits: &mut Bits<'_>, x: usize, y: usize, threshold: u32) -> Option<bool> {
        let mut low = 0;
        let mut known = false;
        for (level, (across, first)) in self.levels.iter().enumerate().rev() {
            let node = &mut self.nodes[first + (y >> level) * across + (x >> level)];
            node.0 = node.0.max(low);
            while node.0 < threshold && !node.1 {
                match bits.take()? {
                    1 => node.1 = true,
                    _ => node.0 += 1,
                }
            }
            (low, known) = *node;
        }
        Some(known && low < threshold)
    }
}
