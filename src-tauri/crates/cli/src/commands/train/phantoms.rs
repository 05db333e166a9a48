//! Phantoms as training samples: rendered in parallel, kept as small 8-bit images.

use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::{Context, Result};
use lucency_nn::{Interrupt, Progress};
use lucency_phantom::{
    Finding, Region, Site, Spec, View, head, render_chest, render_head, sentences,
};
use lucency_train::data::{Caption, Mirror, Place, Sample};
use lucency_zoo::preprocess::{Filter, Image8, resize};
use rand::seq::SliceRandom;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;

use super::prompts::{Prompts, SIDED};

/// Pixels on the short side of a rendered film, before it is made small.
const FILM_SIDE: usize = 320;
/// Pixels on the side of a rendered slice.
const SLICE_SIDE: usize = 240;
/// The same two for images that are judged.
const LARGE_FILM_SIDE: usize = 416;
const LARGE_SLICE_SIDE: usize = 320;
/// The brain window: centre and width in Hounsfield units.
const BRAIN_WINDOW: (f32, f32) = (40.0, 80.0);

/// One image of a phantom.
pub struct PhantomImage {
    /// The truth.
    pub spec: Spec,
    /// The view, which decides what can be told.
    pub view: View,
    /// A square grey image.
    pub image: Image8,
}

/// The truth of the phantom of a seed: three of four with findings drawn evenly, so that rare ones are learned too.
pub fn training_spec(seed: u64) -> (Spec, View) {
    let mut rng = ChaCha8Rng::seed_from_u64(seed ^ 0x7261_696e);
    let site = if rng.random::<bool>() {
        Site::A
    } else {
        Site::B
    };
    let chest = rng.random_bool(0.72);
    let mut spec = if chest {
        Spec::normal_chest(seed, site)
    } else {
        Spec::normal_head(seed, site)
    };
    let mut possible = spec.possible().to_vec();
    possible.shuffle(&mut rng);
    let count = if chest {
        [0, 0, 1, 1, 1, 2, 2, 3, 3, 4][rng.random_range(0..10)]
    } else {
        usize::from(rng.random_bool(0.72))
    };
    for finding in possible.into_iter().take(count) {
        spec = spec.with(finding);
    }
    let view = if chest {
        match rng.random_range(0..20) {
            0..4 => View::Lateral,
            4..10 => View::Ap,
            _ => View::Pa,
        }
    } else {
        View::Axial
    };
    (spec.with_views(vec![view]), view)
}

/// Renders one view as a square grey image of `side` pixels; a head shows a slice with its lesion.
pub fn render(spec: &Spec, view: View, side: usize, rng: &mut impl Rng) -> Result<Image8> {
    let large = render_at(spec, view, (FILM_SIDE, SLICE_SIDE), rng)?;
    Ok(resize::resize(&large, Filter::Bicubic, side, side))
}

/// Renders one view at a size closer to a stored image's, in its own shape.
pub fn render_large(spec: &Spec, view: View, rng: &mut impl Rng) -> Result<Image8> {
    render_at(spec, view, (LARGE_FILM_SIDE, LARGE_SLICE_SIDE), rng)
}

fn render_at(
    spec: &Spec,
    view: View,
    (film, slice): (usize, usize),
    rng: &mut impl Rng,
) -> Result<Image8> {
    if view != View::Axial {
        let (width, height) = lucency_phantom::film_size(spec, view, film);
        let film = render_chest(spec, view, width, height);
        return Ok(Image8::new(width, height, 1, film.to_display_u8())?);
    }
    let z = slice_height(spec, rng);
    let grey = render_head(spec, z, slice).to_display_u8(BRAIN_WINDOW.0, BRAIN_WINDOW.1);
    Ok(Image8::new(slice, slice, 1, grey)?)
}

/// The height of the slice that is shown: one with the lesion, or any of the middle of the brain.
fn slice_height(spec: &Spec, rng: &mut impl Rng) -> f32 {
    let mut heights = vec![head::key_slice(spec)];
    heights.extend(head::slice_positions().into_iter().filter(|z| {
        if spec.lesions.is_empty() {
            (-10.0..66.0).contains(z)
        } else {
            head::slice_shows(spec, *z)
        }
    }));
    heights[rng.random_range(0..heights.len())]
}

/// Renders the phantoms of `count` seeds from `first` on, or reads their images from `cache` if it holds them.
pub fn phantoms(
    first: u64,
    count: u64,
    side: usize,
    cache: &Path,
    stop: &Interrupt,
    report: &(dyn Fn(Progress) + Sync),
) -> Result<Vec<PhantomImage>> {
    let specs = (0..count).map(|i| training_spec(first + i)).collect();
    render_all(specs, side, cache, stop, report)
}

/// For every phantom with a line or a nodule its twin without it, and the phantom's place; the rest of the image is the same.
pub fn twins(
    phantoms: &[PhantomImage],
    side: usize,
    cache: &Path,
    stop: &Interrupt,
    report: &(dyn Fn(Progress) + Sync),
) -> Result<Vec<(usize, PhantomImage)>> {
    let mut places = Vec::new();
    let mut specs = Vec::new();
    for (place, phantom) in phantoms.iter().enumerate() {
        let small = [Finding::Line, Finding::Nodule].into_iter();
        let mut there = small.filter(|f| phantom.spec.has(*f) && f.is_decidable_on(phantom.view));
        if let Some(finding) = there.next() {
            places.push(place);
            specs.push((phantom.spec.without(finding), phantom.view));
        }
    }
    let images = render_all(specs, side, cache, stop, report)?;
    Ok(places.into_iter().zip(images).collect())
}

fn render_all(
    specs: Vec<(Spec, View)>,
    side: usize,
    cache: &Path,
    stop: &Interrupt,
    report: &(dyn Fn(Progress) + Sync),
) -> Result<Vec<PhantomImage>> {
    let size = side * side;
    let count = specs.len() as u64;
    let kept = std::fs::read(cache)
        .ok()
        .filter(|b| b.len() == size * specs.len());
    let done = AtomicU64::new(0);
    let images: Vec<PhantomImage> = specs
        .into_par_iter()
        .enumerate()
        .map(|(i, (spec, view))| -> Result<PhantomImage> {
            anyhow::ensure!(!stop.is_stopped(), "stopped");
            let image = match &kept {
                Some(bytes) => {
                    Image8::new(side, side, 1, bytes[i * size..(i + 1) * size].to_vec())?
                }
                None => render(&spec, view, side, &mut ChaCha8Rng::seed_from_u64(spec.seed))?,
            };
            let n = done.fetch_add(1, Ordering::Relaxed) + 1;
            if n.is_multiple_of(500) {
                report(Progress::new("phantoms", n, count));
            }
            Ok(PhantomImage { spec, view, image })
        })
        .collect::<Result<_>>()?;
    if kept.is_none() {
        let mut bytes = Vec::with_capacity(size * images.len());
        for phantom in &images {
            bytes.extend_from_slice(&phantom.image.data);
        }
        let part = cache.with_extension("partial");
        std::fs::write(&part, &bytes).with_context(|| format!("{}", part.display()))?;
        std::fs::rename(&part, cache).with_context(|| format!("{}", cache.display()))?;
    }
    Ok(images)
}

/// A phantom with its captions, facts and claims.
pub fn sample(phantom: &PhantomImage, prompts: &Prompts) -> Sample {
    let PhantomImage { spec, view, image } = phantom;
    let mut rng = ChaCha8Rng::seed_from_u64(spec.seed ^ 0x0063_6170);
    let view_fact = format!("view {}", view.code());
    let normal_fact = format!("normal {:?}", spec.region);
    let mut captions: Vec<Caption> = Vec::new();
    for _ in 0..3 {
        for sentence in spec.sentences(*view, &mut rng) {
            let fact = match sentence.finding {
                None => None,
                Some(finding) if sentence.present => positive_fact(spec, *view, finding),
                Some(finding) => Some(format!("no {finding}")),
            };
            captions.push(Caption {
                text: sentence.text,
                fact,
            });
        }
        captions.push(Caption {
            text: sentences::neutral(*view, &mut rng),
            fact: Some(view_fact.clone()),
        });
    }
    let report = spec.report(&mut rng);
    captions.push(Caption {
        text: report.impression,
        fact: None,
    });
    captions.push(Caption {
        text: report.findings,
        fact: None,
    });
    captions.sort_by(|a, b| (&a.text, &a.fact).cmp(&(&b.text, &b.fact)));
    captions.dedup_by(|a, b| a.text == b.text);

    let mut facts = vec![view_fact];
    let mut claims = Vec::new();
    if spec.lesions.is_empty() {
        facts.push(normal_fact);
    }
    for &finding in spec.possible() {
        if !finding.is_decidable_on(*view) {
            continue;
        }
        let lesion = spec.lesion(finding);
        facts.extend(match lesion {
            Some(_) => positive_fact(spec, *view, finding),
            None => Some(format!("no {finding}")),
        });
        claims.push((prompts.claim(finding.name()), lesion.is_some()));
        if SIDED.contains(&finding) && *view != View::Lateral {
            for (side, sign) in [("left", 1.0f32), ("right", -1.0)] {
                let there = lesion
                    .and_then(|l| l.side)
                    .is_some_and(|s| side_signs(s).contains(&sign));
                claims.push((prompts.claim(&format!("{side} {finding}")), there));
            }
        }
    }
    if *view != View::Lateral {
        claims.push((
            prompts.claim(prompts.abnormal(spec.region)),
            !spec.lesions.is_empty(),
        ));
    }
    facts.sort();
    let classes = prompts.phantom_classes(*view);
    let (places, located) = places(phantom, prompts);
    Sample {
        image: image.clone(),
        captions,
        facts,
        claims,
        places,
        located,
        classes,
        mirror: if spec.region == Region::Head {
            Mirror::SwapSides
        } else {
            Mirror::Never
        },
    }
}

/// Where the findings are, and which findings' places are all known.
fn places(phantom: &PhantomImage, prompts: &Prompts) -> (Vec<Place>, Vec<usize>) {
    const GRID: usize = 256; // boxes are asked for at this size and turned into fractions
    let PhantomImage { spec, view, .. } = phantom;
    let boxes = if *view == View::Axial {
        let z = slice_height(spec, &mut ChaCha8Rng::seed_from_u64(spec.seed));
        spec.head_boxes(z, GRID)
    } else {
        let (width, height) = lucency_phantom::film_size(spec, *view, GRID);
        let side = GRID as f32;
        let mut boxes = spec.chest_boxes(*view, width, height);
        for b in &mut boxes {
            b.x *= side / width as f32;
            b.width *= side / width as f32;
            b.y *= side / height as f32;
            b.height *= side / height as f32;
        }
        boxes
    };
    let places: Vec<Place> = boxes
        .iter()
        .map(|b| Place {
            claim: prompts.claim(b.finding.name()),
            edges: [b.x, b.y, b.x + b.width, b.y + b.height].map(|v| v / GRID as f32),
        })
        .collect();
    let located = spec
        .possible()
        .iter()
        .filter(|f| f.is_decidable_on(*view))
        .filter(|f| !spec.has(**f) || boxes.iter().any(|b| b.finding == **f))
        .map(|f| prompts.claim(f.name()))
        .collect();
    (places, located)
}

fn side_signs(side: lucency_phantom::Side) -> &'static [f32] {
    match side {
        lucency_phantom::Side::Left => &[1.0],
        lucency_phantom::Side::Right => &[-1.0],
        lucency_phantom::Side::Both => &[1.0, -1.0],
    }
}

/// What a sentence about a lesion states: finding, side and place on a view that tells sides.
fn positive_fact(spec: &Spec, view: View, finding: Finding) -> Option<String> {
    let lesion = spec.lesion(finding)?;
    if view == View::Lateral {
        return Some(finding.to_string());
    }
    let side = lesion.side.map_or("", lucency_phantom::Side::name);
    Some(format!("{finding} {side} {:?}", lesion.place))
}
