//! Which part of the body a question is about, and which one an image shows.

use crate::assistant::Assistant;
use crate::error::Result;
use crate::picture::Picture;
use crate::words::Words;
use lucency_packs::{Decision, Label, LabelSet};

/// The pack's own classes decide on the region from this probability. Of the 142 of VQA-RAD's 314 training images where one
/// of the demo pack's classes reaches it, 138 show that region (the pack was trained on these images).
const SURE: f64 = 0.9;

/// A part of the body that is imaged by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Region {
    /// Skull, brain, sinuses.
    Head,
    /// Lungs, heart, mediastinum, ribs.
    Chest,
    /// Organs of abdomen and pelvis.
    Abdomen,
    /// Breasts.
    Breast,
    /// Hand and wrist.
    Hand,
}

/// A region that was recognised, and from what.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Shown {
    /// The region.
    pub(crate) region: Region,
    /// The model's probability; none when the file states the body part.
    pub(crate) probability: Option<f64>,
}

impl Region {
    const ALL: [Self; 5] = [
        Self::Head,
        Self::Chest,
        Self::Abdomen,
        Self::Breast,
        Self::Hand,
    ];

    /// Every region that a text names.
    pub(crate) fn named_in(text: &str) -> Vec<Self> {
        let words = Words::of(text);
        let named = |region: &Self| words.has_any(region.words());
        Self::ALL.into_iter().filter(named).collect()
    }

    /// The region in words.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Head => "head",
            Self::Chest => "chest",
            Self::Abdomen => "abdomen",
            Self::Breast => "breast",
            Self::Hand => "hand",
        }
    }

    /// True if an image of one region regularly shows a part of the other, too.
    pub(crate) fn borders_on(self, other: Self) -> bool {
        let reaches = |a, b| {
            matches!(
                (a, b),
                (Self::Chest, Self::Abdomen | Self::Breast) | (Self::Abdomen, Self::Breast)
            )
        };
        self == other || reaches(self, other) || reaches(other, self)
    }

    /// Words that name the region or what belongs to it alone. None of the 3064 questions of VQA-RAD's training split
    /// names only regions that its image cannot show, but for one that asks which organ it is.
    fn words(self) -> &'static str {
        match self {
            Self::Head => {
                "head, brain, cns, cerebr*, cerebell*, encephal*, mening*, neuro*, intracranial, intracerebral, \
                cranial, skull, calvari*, sulci, sulcus, gyri, gyrus, thalam*, hippocamp*, basal ganglia, caudate \
                nucle*, putamen, pons, midbrain, brainstem, medulla, corpus callosum, pituitary, sella*, suprasellar, \
                subdural, epidural, subarachnoid, hydroceph*, white matter, gray matter, grey matter, frontal lobe*, \
                temporal lobe*, parietal lobe*, occipital lobe*, lateral ventricle*, third ventricle, fourth \
                ventricle, 4th ventricle, orbit*, sinus*, csf"
            }
            Self::Chest => {
                "chest, cxr, thorax, thoracic, lung, lungs, pulmon*, heart, cardiac, cardiothoracic, retrocardiac, \
                cardiomegaly, pacemaker, pleura*, pneumotho*, pneumonia, emphysem*, atelecta*, mediastin*, hilum, \
                hilar, hila, costophrenic, bronch*, airway*, trachea*, aortic arch, aortic knob, rib, ribs, clavicle*, \
                sternum, diaphragm*, hemidiaphragm*"
            }
            Self::Abdomen => {
                "abdom*, liver, hepat*, kidney*, renal, hydroneph*, adrenal*, spleen, splenic, pancrea*, gallbladder, \
                gallstone*, biliary, bowel*, intestin*, colon*, cecum, appendi*, stomach, gastric, duoden*, jejun*, \
                ileum, sigmoid, rectum, rectal, mesenter*, periton*, retroperiton*, ascites, bladder, prostate, uter*, \
                pelvi*, intussus*, psoas"
            }
            Self::Breast => "breast*, mammogra*, mammary, nipple*",
            Self::Hand => "hand, hands, finger*, thumb*, wrist*, carpal, metacarpal*, phalan*",
        }
    }
}

impl Assistant {
    /// The region that a picture shows: what the file states, or else what the pack's own classes are sure of.
    ///
    /// None for a body part that is none of [`Region`], and when nothing is sure.
    pub(crate) fn region_of(&self, picture: &Picture) -> Result<Option<Shown>> {
        if !picture.body_part.is_empty() {
            let named = Region::named_in(&picture.body_part);
            return Ok(match named[..] {
                [region] => Some(Shown {
                    region,
                    probability: None,
                }),
                _ => None,
            });
        }
        let sets = &self.pack().manifest().label_sets;
        let exclusive = |set: &&LabelSet| set.decision == Decision::Exclusive;
        for classes in sets.iter().filter(exclusive) {
            let scores = self.score_labels(picture, classes)?;
            let best = classes
                .labels
                .iter()
                .zip(scores)
                .max_by(|a, b| a.1.total_cmp(&b.1));
            if let Some((label, probability)) = best.filter(|(_, score)| *score >= SURE)
                && let Some(region) = region_of_class(label)
            {
                return Ok(Some(Shown {
                    region,
                    probability: Some(probability),
                }));
            }
        }
        Ok(None)
    }
}

/// The one region that a class's name or its other words name.
fn region_of_class(label: &Label) -> Option<Region> {
    let text = std::iter::once(&label.name)
        .chain(&label.aliases)
        .fold(String::new(), |all, word| all + " " + word);
    match Region::named_in(&text)[..] {
        [region] => Some(region),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_name_regions() {
        assert_eq!(Region::named_in("Is the liver normal?"), [Region::Abdomen]);
        assert_eq!(Region::named_in("CHEST"), [Region::Chest]);
        assert_eq!(Region::named_in("Is there a midline shift?"), []);
        assert_eq!(
            Region::named_in("Is the lesion in the lung or the brain?"),
            [Region::Head, Region::Chest]
        );
        assert_eq!(
            Region::named_in("KNEE"),
            [],
            "a part that is none of the regions"
        );
    }

    #[test]
    fn the_chest_shows_the_upper_abdomen_but_not_the_head() {
        assert!(Region::Chest.borders_on(Region::Abdomen));
        assert!(Region::Abdomen.borders_on(Region::Chest));
        assert!(!Region::Head.borders_on(Region::Chest));
        assert!(!Region::Hand.borders_on(Region::Abdomen));
    }
}
