//! What other ways of fitting the answerer's head are worth: the same folds, fitted anew by each.

use std::collections::BTreeMap;

use anyhow::Result;
use clap::ValueEnum;
use lucency_train::answers::{Control, FitConfig, Judged, RankConfig, judge};
use lucency_train::metrics::vqa::VqaScore;

use super::ablations::{ADDED, Ablations, no_rankers, rates, scores};
use super::folds::{Fitted, Ranked, crossed_rankers, gather, refit_folds};
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

/// Judges the head alone, head and memory added, and the whole answerer, fitted plainly and in other ways, on the same questions.
///
/// - `plain`: how `folds` were fitted
/// - `limit`: how many folds of each kind are fitted anew and judged
/// - `members`: of an ensemble
pub fn measure(
    plain: &Recipe<'_>,
    folds: &[Fitted],
    wanted: &[Alternative],
    (limit, members): (usize, u64),
    ranked: Ranked,
) -> Result<Ablations> {
    let mut out = Ablations::new();
    let mut put = |name: &str, recipe: &Recipe<'_>| -> Result<()> {
        let folds = refit_folds(recipe, folds, limit, ranked)?;
        eprintln!("{name}");
        for (kind, rates) in kinds(recipe, &folds)? {
            out.insert(format!("{name}: {kind}"), rates);
        }
        if ranked == Ranked::Yes {
            let heads: Vec<Learned> = folds.iter().map(|f| f.learned.clone()).collect();
            let rankers = crossed_rankers(&folds, &RankConfig::default())?;
            let whole = rates(recipe.shown(), &folds, &heads, &rankers)?;
            out.insert(format!("{name}: whole answerer"), whole);
        }
        Ok(())
    };
    put("plain", plain)?;
    for alternative in wanted {
        put(alternative.name(), &alternative.of(plain, members))?;
    }
    Ok(out)
}

/// Rates of the head alone, and of head and memory added, by set with that word behind it.
pub fn heads(recipe: &Recipe<'_>, folds: &[Fitted]) -> Result<BTreeMap<String, VqaScore>> {
    let named = kinds(recipe, folds)?.into_iter().flat_map(|(kind, rates)| {
        let names = rates.into_iter();
        names.map(move |(set, score)| (format!("{set}, {kind}"), score))
    });
    Ok(named.collect())
}

fn kinds(
    recipe: &Recipe<'_>,
    folds: &[Fitted],
) -> Result<[(&'static str, BTreeMap<String, VqaScore>); 2]> {
    let both: Vec<Learned> = folds.iter().map(with_memory_added).collect();
    let both = rates(recipe.shown(), folds, &both, &no_rankers(folds))?;
    Ok([
        ("head alone", alone(recipe, folds)?),
        ("head and memory added", both),
    ])
}

/// A fold's head and memory, weighed as in the sixth row of the ablations.
fn with_memory_added(fitted: &Fitted) -> Learned {
    let mut learned = fitted.learned.clone();
    if let Some(memory) = &mut learned.config.memory {
        (memory.trust, memory.weight) = ADDED;
    }
    learned
}

/// Rates of the heads without memory and ranker.
fn alone(recipe: &Recipe<'_>, folds: &[Fitted]) -> Result<BTreeMap<String, VqaScore>> {
    let mut sets: BTreeMap<String, Judged> = BTreeMap::new();
    for fitted in folds.iter().filter(|f| f.judged) {
        let head = fitted.learned.head_alone()?;
        let judged = judge(&head, recipe.shown(), &fitted.fold.asked, Control::Image)?;
        gather(&mut sets, fitted.fold.name.into(), judged);
    }
    scores(&sets)
}
