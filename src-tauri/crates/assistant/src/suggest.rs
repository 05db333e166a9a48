//! Questions worth asking first, by what the image shows.

use crate::assistant::Assistant;
use crate::dto::Suggestions;
use crate::error::Result;
use crate::picture::Picture;
use crate::region::{Region, Shown};

const CHEST_FILM: &[&str] = &[
    "Is there a pleural effusion?",
    "Is there a pneumothorax?",
    "Is the heart enlarged?",
    "Is there a consolidation?",
    "Is there a nodule or mass?",
];

const CHEST_SECTION: &[&str] = &[
    "Is there a pleural effusion?",
    "Is there a mass in the lung?",
    "Is there mediastinal lymphadenopathy?",
    "Is contrast used?",
    "What is the abnormality?",
];

const HEAD: &[&str] = &[
    "Is there a haemorrhage?",
    "Is there an infarct?",
    "Is there a mass?",
    "Is there a midline shift?",
    "Where is the lesion?",
];

const ABDOMEN: &[&str] = &[
    "Is the liver normal?",
    "Are the kidneys normal?",
    "Is there free fluid?",
    "Is the bowel dilated?",
    "What is the abnormality?",
];

const ANY: &[&str] = &[
    "What modality is shown?",
    "Which organ is shown?",
    "In which plane is this image?",
    "Is this image normal?",
    "What is the abnormality?",
];

impl Assistant {
    /// Questions that fit the organ and the modality of a picture: those of the file, or what the pack recognises.
    pub fn suggest(&self, picture: &Picture) -> Result<Suggestions> {
        let shown = self.region_of(picture)?;
        let questions = questions_for(shown.map(|s| s.region), is_section(&picture.modality));
        Ok(Suggestions {
            region: shown
                .map(|s| s.region.name().to_owned())
                .unwrap_or_default(),
            recognised: shown.and_then(|s: Shown| s.probability),
            questions: questions.iter().map(|&q| q.to_owned()).collect(),
        })
    }
}

/// True for modalities that cut the body into slices.
fn is_section(modality: &str) -> bool {
    ["CT", "MR", "PT", "NM"].contains(&modality)
}

fn questions_for(region: Option<Region>, section: bool) -> &'static [&'static str] {
    match region {
        Some(Region::Chest) if section => CHEST_SECTION,
        Some(Region::Chest) => CHEST_FILM,
        Some(Region::Head) => HEAD,
        Some(Region::Abdomen) => ABDOMEN,
        Some(Region::Breast | Region::Hand) | None => ANY,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::guard::question::checked;

    #[test]
    fn questions_fit_organ_and_modality() {
        assert!(questions_for(Some(Region::Chest), false)[2].contains("heart"));
        assert!(questions_for(Some(Region::Chest), true)[2].contains("mediastinal"));
        assert!(questions_for(Some(Region::Head), true)[0].contains("haemorrhage"));
        assert!(questions_for(None, false)[0].contains("modality"));
    }

    #[test]
    fn every_suggestion_fits_its_region() {
        let regions = [
            None,
            Some(Region::Head),
            Some(Region::Chest),
            Some(Region::Abdomen),
        ];
        for region in regions {
            for question in questions_for(region, false) {
                assert!(checked(question).is_ok());
                let asked = Region::named_in(question);
                let fits = region.is_some_and(|r| asked.iter().all(|a| a.borders_on(r)));
                assert!(asked.is_empty() || fits, "{region:?}: {question}");
            }
        }
    }
}
