//! On which side, and where.

use rand::Rng;

use super::names::noun;
use super::{AnswerType, Pool, QuestionType};
use crate::random::chance;
use crate::spec::{Place, Side, Spec};
use crate::words::sentences::place_name;

impl Spec {
    pub(super) fn ask_position(&self, pool: &mut Pool, rng: &mut impl Rng) {
        for lesion in &self.lesions {
            let finding = lesion.finding;
            let Some(side) = lesion.side else { continue };
            let noun = noun(lesion);
            if chance(rng, 0.8) {
                let question = match rng.random_range(0..4) {
                    0 => format!("On which side is the {noun}?"),
                    1 => format!("Which side is the {noun} on?"),
                    2 => format!("What side of the patient is the {noun} on?"),
                    _ => format!("Which side shows the {noun}?"),
                };
                pool.open(QuestionType::Pos, Some(finding), question, side.name());
            }
            if side != Side::Both && chance(rng, 0.6) {
                let question = match rng.random_range(0..3) {
                    0 => format!("Is the {noun} on the left or right?"),
                    1 => format!("Is the {noun} on the right or the left side?"),
                    _ => format!("Left or right {noun}?"),
                };
                pool.push(
                    QuestionType::Pos,
                    AnswerType::Closed,
                    Some(finding),
                    question,
                    side.name(),
                );
            }
            if side != Side::Both && chance(rng, 0.7) {
                let asked = if chance(rng, 0.5) {
                    Side::Left
                } else {
                    Side::Right
                };
                let question = match rng.random_range(0..3) {
                    0 => format!("Is the {noun} on the {} side?", asked.name()),
                    1 => format!("Is there a {} {noun}?", asked.name()),
                    _ => format!("Is the {noun} located on the patient's {}?", asked.name()),
                };
                pool.closed(QuestionType::Pos, Some(finding), question, asked == side);
            }
            if let Some(place) = place_name(lesion.place, Some(side))
                && lesion.place != Place::Apex
            {
                let question = match rng.random_range(0..4) {
                    0 => format!("Where is the {noun}?"),
                    1 => format!("Where is the {noun} located?"),
                    2 if matches!(
                        lesion.place,
                        Place::UpperLobe | Place::MiddleLobe | Place::LowerLobe
                    ) =>
                    {
                        format!("Which lobe shows the {noun}?")
                    }
                    _ => format!("What is the location of the {noun}?"),
                };
                pool.open(QuestionType::Pos, Some(finding), question, place);
            }
        }
    }
}
