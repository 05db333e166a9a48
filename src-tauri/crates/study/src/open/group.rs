//! Instances to studies and series; frames in the order of scrolling.

use std::cmp::Ordering;
use std::collections::{HashMap, HashSet};

use super::instance::Entry;
use super::walk::natural;
use crate::geometry::{dot, slice_normal};
use crate::model::{FrameRef, Instance, Series, Study};
use crate::source::Source;

/// Orientations differ by more than rounding when the cosine of the angle between normals is below this.
const SAME_DIRECTION: f64 = 0.999;

/// Groups by study and series UID; a series that mixes sizes, samples or orientations becomes several.
///
/// An object that is reached twice (a copy, or a folder beside its archive) is shown once: the other sources come back too.
pub(super) fn group(entries: Vec<Entry>) -> (Vec<Study>, Vec<Source>) {
    let mut copies = Vec::new();
    let mut seen = HashSet::new();
    let mut studies: Vec<Study> = Vec::new();
    let mut study_index: HashMap<String, usize> = HashMap::new();
    let mut series_index: HashMap<(String, String), Vec<usize>> = HashMap::new();
    for entry in entries {
        if !seen.insert(identity(&entry)) {
            copies.push(entry.instance.source);
            continue;
        }
        let at = *study_index
            .entry(entry.study_uid.clone())
            .or_insert_with(|| {
                studies.push(new_study(&entry));
                studies.len() - 1
            });
        let study = &mut studies[at];
        study.synthetic &= entry.synthetic;
        let parts = series_index
            .entry((entry.study_uid.clone(), entry.series_uid.clone()))
            .or_default();
        let fitting = parts
            .iter()
            .copied()
            .find(|i| fits(&study.series[*i].instances[0], &entry.instance));
        match fitting {
            Some(i) => study.series[i].instances.push(entry.instance),
            None => {
                parts.push(study.series.len());
                study.series.push(new_series(entry));
            }
        }
    }
    for study in &mut studies {
        study.series.sort_by_key(|s| s.number.unwrap_or(i64::MAX));
        study.series.iter_mut().for_each(order);
    }
    (studies, copies)
}

/// What two copies of one object share. The encoding and the length count too: some writers change pixels and keep the UID.
fn identity(entry: &Entry) -> (String, String, String, u64) {
    let i = &entry.instance;
    let names = (entry.series_uid.clone(), i.sop_uid.clone());
    (names.0, names.1, i.transfer_syntax.clone(), entry.bytes)
}

fn new_study(entry: &Entry) -> Study {
    Study {
        uid: entry.study_uid.clone(),
        patient: entry.patient.clone(),
        date: entry.study_date.clone(),
        description: entry.study_description.clone(),
        synthetic: entry.synthetic,
        series: Vec::new(),
    }
}

fn new_series(entry: Entry) -> Series {
    Series {
        uid: entry.series_uid,
        number: entry.series_number,
        modality: entry.modality,
        description: entry.series_description,
        body_part: entry.body_part,
        view: entry.view,
        instances: vec![entry.instance],
        frames: Vec::new(),
    }
}

fn fits(a: &Instance, b: &Instance) -> bool {
    let parallel = match (normal(a), normal(b)) {
        (Some(x), Some(y)) => dot(&x, &y) > SAME_DIRECTION,
        (None, None) => true,
        _ => false,
    };
    (a.rows, a.columns, a.samples) == (b.rows, b.columns, b.samples) && parallel
}

fn normal(instance: &Instance) -> Option<[f64; 3]> {
    slice_normal(&instance.orientation?)
}

/// Position of a frame along the normal; a single position stands for the instance's only frame.
fn position(instance: &Instance, frame: u32, normal: &[f64; 3]) -> Option<f64> {
    let at = instance.positions.get(frame as usize).copied().flatten()?;
    (instance.number_of_frames == 1 || instance.positions.len() > 1).then(|| dot(&at, normal))
}

/// Sorts instances and lists frames. Source for the normal: PS3.3 C.7.6.2.1.1.
fn order(series: &mut Series) {
    let normal = normal(&series.instances[0]);
    let along = |i: &Instance| {
        let at = i.positions.first().copied().flatten()?;
        Some(dot(&at, &normal?))
    };
    // One instance without a position, and positions cannot order the series.
    let all_placed = series.instances.iter().all(|i| along(i).is_some());
    let by_number = |a: &Instance, b: &Instance| {
        let key = |i: &Instance| i.instance_number.unwrap_or(i64::MAX);
        key(a).cmp(&key(b)).then_with(|| {
            let names = (a.source.file_name(), b.source.file_name());
            natural(&names.0, &names.1)
        })
    };
    series.instances.sort_by(|a, b| {
        let placed = match (all_placed, along(a), along(b)) {
            (true, Some(x), Some(y)) => x.total_cmp(&y),
            _ => Ordering::Equal,
        };
        placed.then_with(|| by_number(a, b))
    });
    for (index, instance) in series.instances.iter().enumerate() {
        let frame_ref = |frame| FrameRef {
            instance: index,
            frame,
            position_mm: normal.and_then(|n| position(instance, frame, &n)),
        };
        let mut frames: Vec<FrameRef> = (0..instance.number_of_frames).map(frame_ref).collect();
        sort_volume(&mut frames);
        series.frames.extend(frames);
    }
}

/// Frames of one instance by position, when every frame has its own; a volume in time keeps its stored order.
fn sort_volume(frames: &mut [FrameRef]) {
    let positions: Option<Vec<f64>> = frames.iter().map(|f| f.position_mm).collect();
    let Some(mut positions) = positions else {
        return;
    };
    positions.sort_by(f64::total_cmp);
    if positions.windows(2).all(|w| w[1] - w[0] > 1e-4) {
        frames.sort_by(|a, b| {
            a.position_mm
                .unwrap_or(0.0)
                .total_cmp(&b.position_mm.unwrap_or(0.0))
        });
    }
}
