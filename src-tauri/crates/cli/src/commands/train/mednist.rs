//! MedNIST's folders as training samples.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use lucency_train::data::{Caption, Mirror, Sample};
use lucency_zoo::preprocess::{Filter, Image8, resize};
use rayon::prelude::*;

use super::prompts::{CLASS_TEMPLATES, CLASSES, MEDNIST, REGION_SET, REGIONS};

/// Of each class every this many-th image, by file name, is held out.
pub const HELD_OUT_EVERY: usize = 5;

/// One image with its class.
pub struct MedNistImage {
    /// Its file, for reading it again at full size.
    pub path: PathBuf,
    /// Index into [`MEDNIST`].
    pub class: usize,
    /// Whether it is held out.
    pub held_out: bool,
    /// A square grey image.
    pub image: Image8,
}

/// Reads the six folders.
///
/// Errors if a folder is missing or an image cannot be read.
pub fn read(dir: &Path, side: usize) -> Result<Vec<MedNistImage>> {
    let mut files = Vec::new();
    for (class, (name, ..)) in MEDNIST.iter().enumerate() {
        let folder = dir.join(name);
        let mut names: Vec<PathBuf> = std::fs::read_dir(&folder)
            .with_context(|| format!("{}", folder.display()))?
            .map(|entry| Ok(entry?.path()))
            .collect::<Result<_>>()?;
        names.sort();
        files.extend(
            names
                .into_iter()
                .enumerate()
                .map(|(i, path)| (class, i % HELD_OUT_EVERY == 0, path)),
        );
    }
    files
        .into_par_iter()
        .map(|(class, held_out, path)| {
            let bytes = std::fs::read(&path).with_context(|| format!("{}", path.display()))?;
            let image = Image8::decode(&bytes).with_context(|| format!("{}", path.display()))?;
            let image = resize::resize(&image.to_grey(), Filter::Bicubic, side, side);
            Ok(MedNistImage {
                path,
                class,
                held_out,
                image,
            })
        })
        .collect()
}

/// An image with captions made from its class.
pub fn sample(image: &MedNistImage) -> Sample {
    let (name, region, words) = &MEDNIST[image.class];
    let fact = format!("class {name}");
    let mut captions: Vec<Caption> = words
        .iter()
        .flat_map(|word| CLASS_TEMPLATES.iter().map(move |t| t.replace("{}", word)))
        .map(|text| Caption {
            text,
            fact: Some(fact.clone()),
        })
        .collect();
    let region_fact = format!("region {}", REGIONS[*region].0);
    captions.extend(REGIONS[*region].1.iter().map(|text| Caption {
        text: (*text).to_string(),
        fact: Some(region_fact.clone()),
    }));
    Sample {
        image: image.image.clone(),
        captions,
        facts: vec![fact, region_fact],
        claims: Vec::new(),
        places: Vec::new(),
        located: Vec::new(),
        classes: vec![(CLASSES, image.class), (REGION_SET, *region)],
        mirror: Mirror::Free,
    }
}
