//! Questions that cannot be answered whatever the image shows.

use lucency_zoo::tokenizer::ClipTokenizer;

use crate::dto::{Caution, CautionReason};
use crate::error::{AssistantError, Result};
use crate::region::Region;
use crate::words::Words;

/// Longest question, in characters.
const LONGEST: usize = 500;
/// Share of letters in another script from which a question is not read at all.
const FOREIGN_SCRIPT: f64 = 0.3;
/// Least share of words that the tokenizer keeps whole. Of every third question of VQA-RAD's training split (1022) none has
/// less; German, Spanish, Italian, Dutch, Polish and Swedish ones mostly have at most 0.25.
const LEAST_WHOLE_WORDS: f64 = 0.4;

/// The question without the space around it.
///
/// Errors if it has no words, is far too long, or is written in another script than the model reads.
pub(crate) fn checked(question: &str) -> Result<&str> {
    let question = question.trim();
    let wrong = |message: String| Err(AssistantError::Question(message));
    if question.is_empty() {
        return wrong("the question is empty; ask something about the image".into());
    }
    let length = question.chars().count();
    if length > LONGEST {
        return wrong(format!(
            "the question has {length} characters; ask it in at most {LONGEST}"
        ));
    }
    let letters = question.chars().filter(|c| c.is_alphabetic());
    let (latin, other): (Vec<char>, Vec<char>) = letters.partition(|&c| is_latin(c));
    let total = latin.len() + other.len();
    if total == 0 {
        return wrong("the question has no words; ask something about the image in English".into());
    }
    if other.len() as f64 > FOREIGN_SCRIPT * total as f64 {
        return wrong(
            "the question is written in another script; the model reads English only".into(),
        );
    }
    Ok(question)
}

/// Basic Latin to Latin Extended-B, and the accents and ligatures beyond.
fn is_latin(c: char) -> bool {
    matches!(u32::from(c), 0..=0x24F | 0x1E00..=0x1EFF)
}

/// Reasons not to trust an answer to this question.
pub(crate) fn doubts(question: &str, tokenizer: &ClipTokenizer) -> Vec<Caution> {
    let caution = |reason, message: &str| Caution {
        reason,
        message: message.to_owned(),
    };
    let words = Words::of(question);
    let mut doubts = Vec::new();
    if whole_words(&words, tokenizer) < LEAST_WHOLE_WORDS || is_in_another_language(&words) {
        doubts.push(caution(
            CautionReason::UnknownWords,
            "Most words of the question are unknown to the model, which reads English only.",
        ));
    } else if !is_about_images(&words, question) {
        doubts.push(caution(
            CautionReason::OffTopic,
            "The question does not seem to be about a radiology image.",
        ));
    }
    if contradicts_itself(&words) {
        doubts.push(caution(
            CautionReason::Contradictory,
            "The question contradicts itself. Ask one thing at a time, or offer the choice with “or”.",
        ));
    }
    doubts
}

/// True if small words of other languages give the question away.
fn is_in_another_language(words: &Words) -> bool {
    /// Two of them are no accident: "de novo" and "en face" are English enough.
    const FEWEST: usize = 2;
    words.iter().filter(|w| is_one_of(w, ELSEWHERE)).count() >= FEWEST
}

/// Small words of German, French, Spanish, Italian, Portuguese and Dutch that English does not have.
const ELSEWHERE: &str = "der, das, ist, ein, eine, einen, und, im, auf, welche, wo, gibt, es, le, la, les, une, est, il, de, du, dans, \
    cette, quelle, quel, où, el, los, las, una, hay, esta, está, qué, dónde, lo, gli, che, dove, della, nel, uma, não, \
    há, onde, het, een, zijn, deze";

/// Share of the words that are one token each; words of one letter and numbers do not count.
fn whole_words(words: &Words, tokenizer: &ClipTokenizer) -> f64 {
    let counted = words
        .iter()
        .filter(|w| w.chars().count() > 1 && w.chars().all(char::is_alphabetic));
    let lengths: Vec<usize> = counted.map(|w| tokenizer.encode(w).len()).collect();
    if lengths.is_empty() {
        return 1.0; // nothing to judge by
    }
    lengths.iter().filter(|&&n| n == 1).count() as f64 / lengths.len() as f64
}

fn is_about_images(words: &Words, question: &str) -> bool {
    words.has_any(TOPICS) || !Region::named_in(question).is_empty()
}

/// True if two things that cannot hold at once are asked together, without a choice between them.
fn contradicts_itself(words: &Words) -> bool {
    if words.has_any("or, either, versus, vs") {
        return false;
    }
    let together = |group: &[&str]| group.iter().filter(|p| words.has(p)).count() > 1;
    EXCLUSIVE.iter().any(|group| together(group)) || denies_what_it_states(words)
}

/// "… an effusion and no effusion …": a word right after a negation that also stands elsewhere.
fn denies_what_it_states(words: &Words) -> bool {
    const NEGATIONS: &[&str] = &["no", "without", "not", "absent"];
    /// Words after a negation that it may deny.
    const REACH: usize = 3;
    let words: Vec<&str> = words.iter().collect();
    let denied = |at: usize| at + 1..(at + 1 + REACH).min(words.len());
    (0..words.len())
        .filter(|&at| NEGATIONS.contains(&words[at]))
        .flat_map(|at| denied(at).map(move |i| (at, i)))
        .filter(|&(_, i)| words[i].len() > 3 && !is_one_of(words[i], COMMON))
        .any(|(at, i)| {
            let mut others = words
                .iter()
                .enumerate()
                .filter(|(j, _)| !denied(at).contains(j));
            others.any(|(_, word)| *word == words[i])
        })
}

/// True if the word is in the list.
fn is_one_of(word: &str, list: &str) -> bool {
    list.split(", ").any(|other| other == word)
}

/// Longer words that say nothing by themselves.
const COMMON: &str = "there, this, that, image, with, evidence, seen, have, does, left, right";

/// Groups of which at most one can hold.
const EXCLUSIVE: &[&[&str]] = &[
    &["normal", "abnormal"],
    &["present", "absent"],
    &["enlarged", "normal size"],
    &["enlarged", "normal in size"],
    &[
        "a ct*",
        "an mri",
        "an x ray",
        "a radiograph",
        "an ultrasound",
    ],
    &["axial", "coronal", "sagittal"],
    &["pa film", "ap film"],
    &["with contrast", "without contrast"],
    &["hyperdense", "hypodense"],
];

/// What questions about radiology images are about. With the regions' words they cover all but 0.5 % of the 3064 questions of
/// VQA-RAD's training split.
const TOPICS: &str = "image*, imag*, film*, scan*, picture*, x ray*, xray*, radiograph*, ct, mri, mr, flair, t1, t2, dwi, diffusion, \
    ultrasound, modality, plane, view, section, axial, coronal, sagittal, ap, pa, contrast, technique, quality, \
    exposure, inspir*, expir*, rotat*, supine, upright, standing, patient*, gender, male, female, age, anatom*, \
    organ*, structure*, system, tissue*, body, bone*, bony, skelet*, joint*, vertebra*, spin*, neck, cervical, \
    thyroid, esophag*, oesophag*, muscle*, fat, fatty, nerve*, arter*, vein*, venous, vessel*, vascul*, aort*, trunk, \
    lumen, lymph*, ventricle*, hemispher*, matter, midline, shift*, cortex, cortical, vermis, lobe*, lobar, apex, \
    apices, base, quadrant*, wall*, angle*, abnormal*, normal*, patholog*, disease*, diagnos*, differential, finding*, \
    found, sign*, lesion*, mass, masses, tumor*, tumour*, cancer*, metast*, malign*, benign, nodul*, cyst*, opaci*, \
    lucen*, dens*, intens*, attenuat*, enhanc*, hyper*, hypo*, bright*, dark*, black, white, dots, lighting, calcif*, \
    stone*, calcul*, effusion*, edema*, oedema*, swell*, swollen, fluid, air, gas, pneumo*, pneuomo*, blood, bleed*, \
    hemorr*, haemorr*, hemmor*, hematom*, haematom*, infarct*, stroke*, isch*, embol*, thromb*, stenosis, aneurysm*, \
    dissect*, fractur*, inflam*, infect*, abscess*, infiltrat*, consolidat*, collapse*, fibro*, scar*, granul*, \
    cavit*, bulla*, obstruct*, perforat*, rupture*, herniat*, enlarg*, dilat*, widen*, thick*, atroph*, defect*, \
    injur*, deviat*, stranding, mark*, shadow*, silhouette*, contour*, border*, margin*, shape*, size, ring, located, \
    location, position*, side, left, right, upper, lower, bilateral, level*, distribution*, area*, material, foreign, \
    tube*, line, lines, catheter*, device*, wire*, implant*, stent*, drain*, clip*, lead, leads";

#[cfg(test)]
mod tests {
    use super::*;

    fn reasons(question: &str) -> Vec<CautionReason> {
        let doubts = doubts(question, &ClipTokenizer::clip());
        doubts.into_iter().map(|c| c.reason).collect()
    }

    #[test]
    fn a_question_without_words_or_in_another_script_is_refused_with_the_reason() {
        let cases = [
            ("", "empty"),
            ("  \n ", "empty"),
            ("?!…", "no words"),
            ("🫁❤️🩻", "no words"),
            ("42?", "no words"),
            ("这张图像中有胸腔积液吗?", "another script"),
            ("Есть ли плевральный выпот?", "another script"),
            ("هل يوجد انصباب جنبي؟", "another script"),
        ];
        for (question, reason) in cases {
            let error = checked(question).expect_err(question).to_string();
            assert!(error.contains(reason), "{question:?}: {error}");
        }
        let long = "Is there an effusion? ".repeat(40);
        let error = checked(&long).expect_err("far too long").to_string();
        assert!(error.contains("characters"), "{error}");
    }

    #[test]
    fn an_emoji_or_an_accent_beside_words_does_no_harm() {
        assert_eq!(
            checked(" Is there an effusion? 🫁 ").expect("it has words"),
            "Is there an effusion? 🫁"
        );
        assert!(checked("Is there a Ménière's sign on the film?").is_ok());
    }

    #[test]
    fn questions_about_something_else_are_noticed() {
        for question in [
            "Who won the match yesterday?",
            "What is your name?",
            "Tell me a joke",
            "Will it rain tomorrow?",
        ] {
            assert_eq!(reasons(question), [CautionReason::OffTopic], "{question}");
        }
    }

    #[test]
    fn questions_that_contradict_themselves_are_noticed() {
        for question in [
            "Is there a pleural effusion and no pleural effusion?",
            "Is the lung normal and abnormal?",
            "Is the mass both present and absent?",
            "Is this axial coronal image of the brain normal?",
            "Is this chest film a CT and an MRI?",
        ] {
            assert_eq!(
                reasons(question),
                [CautionReason::Contradictory],
                "{question}"
            );
        }
    }

    #[test]
    fn fair_questions_raise_no_doubt() {
        for question in [
            "Is the lung normal or abnormal?",
            "Is this a CT or an MRI?",
            "Is there no evidence of a pneumothorax?",
            "Is there a nodule in the left and the right lung?",
            "Where is the lesion?",
            "What is the modality?",
        ] {
            assert_eq!(reasons(question), [], "{question}");
        }
    }
}
