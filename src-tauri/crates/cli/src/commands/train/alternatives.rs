//! What other ways of fitting the answerer's head are worth: the same folds, fitted anew by each.

use std::collections::BTreeMap;

use anyhow::Result;
use clap::ValueEnum;
use lucency_train::answers::{Control, FitConfig, Judged, RankConfig, judge};

use super::ablations::{Ablations, rates, scores};
use super::folds::{Fitted, crossed_rankers, gather, refit_folds};
use super::recipe::{Learned, Pool, Recipe};

/// Another way to fit the head.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Alternative {
    /// A tenth of every answer's probability spread over all.
    Smoothing,
    /// Half of the questions about VQA-RAD with another view of their image.
    Views,
    /// Half of them mirrored, left and right swapped in the words.
    Mirror,
    /// Nothing ruled out by the question's form.
    Ungated,
    /// Every image asked about as the mean of small views.
    Averaged,
    /// The mean of several seeds' heads.
    Ensemble,
    /// One head that learned from that mean.
    Distilled,
}

impl Alternative {
    fn name(self) -> &'static str {
        match self {
            Self::Smoothing => "label smoothing 0.1",
            Self::Views => "other views of the images, half of the time",
            Self::Mirror => "mirrored images with left and right swapped, half of the time",
            Self::Ungated => "no gate by the question's form in the head",
            Self::Averaged => "features averaged over four small views when asked",
            Self::Ensemble => "ensemble of heads",
            Self::Distilled => "one head distilled from the ensemble",
        }
    }

    /// Whether the questions need rows about other views.
    pub fn wants_variants(self) -> bool {
        matches!(self, Self::Views | Self::Mirror)
    }

    /// The plain recipe with this change.
    ///
    /// - `members`: of an ensemble
    fn of<'a>(self, plain: &Recipe<'a>, members: u64) -> Recipe<'a> {
        let mut recipe = plain.clone();
        let how: &mut FitConfig = &mut recipe.how;
        match self {
            Self::Smoothing => how.label_smoothing = 0.1,
            Self::Views => how.augment = 0.5,
            Self::Mirror => how.mirror = 0.5,
            Self::Ungated => recipe.gated = false,
            Self::Averaged => recipe.averaged = true,
            Self::Ensemble => recipe.pool = Pool::Ensemble(members),
            Self::Distilled => recipe.pool = Pool::Distilled(members),
        }
        recipe
    }
}

/// Judges the head alone and the whole answerer, fitted plainly and in other ways, on the same questions.
///
/// - `plain`: how `folds` were fitted
/// - `limit`: how many folds of each kind are fitted anew and judged
/// - `members`: of an ensemble
pub fn measure(
    plain: &Recipe<'_>,
    folds: &[Fitted],
    wanted: &[Alternative],
    limit: usize,
    members: u64,
) -> Result<Ablations> {
    let mut out = Ablations::new();
    let mut put = |name: &str, recipe: &Recipe<'_>| -> Result<()> {
        let folds = refit_folds(recipe, folds, limit)?;
        eprintln!("{name}");
        let heads: Vec<Learned> = folds.iter().map(|f| f.learned.clone()).collect();
        let rankers = crossed_rankers(&folds, &RankConfig::default())?;
        out.insert(format!("{name}: head alone"), alone(recipe, &folds)?);
        let whole = rates(recipe.shown(), &folds, &heads, &rankers)?;
        out.insert(format!("{name}: whole answerer"), whole);
        Ok(())
    };
    put("as shipped", plain)?;
    for alternative in wanted {
        put(alternative.name(), &alternative.of(plain, members))?;
    }
    Ok(out)
}

/// Rates of the heads without memory and ranker.
fn alone(
    recipe: &Recipe<'_>,
    folds: &[Fitted],
) -> Result<BTreeMap<String, lucency_train::metrics::vqa::VqaScore>> {
    let mut sets: BTreeMap<String, Judged> = BTreeMap::new();
    for fitted in folds.iter().filter(|f| f.judged) {
        let head = fitted.learned.head_alone()?;
        let judged = judge(&head, recipe.shown(), &fitted.fold.asked, Control::Image)?;
        gather(&mut sets, fitted.fold.name.into(), judged);
    }
    scores(&sets)
}
