//! How much contrastive training makes of few reports: retrieval in folds of whole patients.

use lucency_nn::{Interrupt, Progress};
use lucency_train::cohort::{join_duplicates, stratified_parts};
use lucency_train::finetune::{Towers, TunePlan, tune_pairs};
use lucency_train::run::Ending;
use serde::Serialize;
use serde_json::json;

use super::amount::{Amount, Division, few, folds_of};
use super::cases::Cases;
use super::divide::of_part;
use super::pairs::{PairsReport, Ranks, base_towers, compare, rank_pairs, with_report};
use super::preset::refuse_narrow;
use super::{Base, Numbers, numbers, refuse};
use crate::Options;
use crate::computing::long_work;
use crate::dto::{TrainingData, TrainingOptions};
use crate::error::{AssistantError, Result};
use crate::ledger;

/// Shares of the patients who are learned from: to fit on, and to choose the best step by.
const FIT_AND_CHOOSE: [f64; 2] = [0.75, 0.25];

/// A learning curve of retrieval that is asked for.
pub struct RetrievalPlan {
    /// Preset of contrastive training.
    pub preset: String,
    /// How many pairs are learned from, ascending.
    pub amounts: Vec<Amount>,
    /// Folds of whole patients; the pairs of each are ranked among themselves by what was learned from the others.
    pub folds: usize,
    /// Numbers other than the preset's.
    pub options: TrainingOptions,
}

/// What a number of pairs gave.
#[derive(Debug, Serialize)]
pub struct RetrievalPoint {
    /// What was asked for.
    #[serde(flatten)]
    pub amount: Amount,
    /// Pairs that were learned from, mean of the folds.
    pub cases: usize,
    /// Recall before and after, and the gain, over the pairs of all folds.
    #[serde(flatten)]
    pub retrieval: PairsReport,
}

/// A learning curve of retrieval.
#[derive(Debug, Serialize)]
pub struct RetrievalCurve {
    /// Name of the pack.
    pub pack: String,
    /// Folds.
    pub folds: usize,
    /// By rising number of pairs.
    pub points: Vec<RetrievalPoint>,
}

/// Draws a learning curve: for each number of pairs the towers learn from so many of all folds but one and rank the pairs of that one.
///
/// As in a run that is meant for use, a quarter of the patients who are learned from chooses the best step.
/// Errors if the table has no reports, or as training does.
pub fn retrieval_curve(
    options: &Options,
    plan: &RetrievalPlan,
    data: &TrainingData,
    pack: Option<&str>,
    stop: &Interrupt,
    progress: &mut dyn FnMut(Progress),
) -> Result<RetrievalCurve> {
    refuse_narrow(&plan.options, &options.compute)?;
    long_work(options, progress, |options, progress| {
        draw(options, plan, data, pack, stop, progress)
    })
}

fn draw(
    options: &Options,
    plan: &RetrievalPlan,
    data: &TrainingData,
    pack: Option<&str>,
    stop: &Interrupt,
    progress: &mut dyn FnMut(Progress),
) -> Result<RetrievalCurve> {
    let started = ledger::now();
    let (_, Numbers::Tune(numbers)) = numbers(&plan.preset, &plan.options)? else {
        return Err(refuse("bad_preset", "a probe does not learn from reports"));
    };
    if data.columns.report.is_none() {
        return Err(refuse(
            "bad_columns",
            "--columns: contrastive training learns from reports; name their column with report=COLUMN",
        ));
    }
    let base = Base::open(options, pack)?;
    let cases = Cases::read(
        data,
        base.preprocess(),
        &base.identity(),
        &[],
        stop,
        progress,
    )?;
    let groups = join_duplicates(&cases.members);
    let rows = with_report(&cases);
    let own: Vec<u64> = rows.iter().map(|i| groups[*i]).collect();
    let strata = vec![Vec::new(); rows.len()];
    let divisions = folds_of(&rows, &own, &strata, plan.folds, numbers.seed)?;
    let one_class = vec![Some(0); groups.len()];
    let mut curve = RetrievalCurve {
        pack: base.identity().name,
        folds: divisions.len(),
        points: Vec::new(),
    };
    for amount in &plan.amounts {
        let mut learned_from = 0;
        let mut teach = |pool: &[usize], progress: &mut dyn FnMut(Progress)| {
            let train = few(&one_class, &groups, pool, *amount, numbers.seed);
            learned_from += train.len();
            learn(&base, &cases, &groups, &train, &numbers, stop, progress)
        };
        let retrieval = judge_in_folds(
            &base, &cases, &groups, &divisions, &mut teach, stop, progress,
        )?;
        curve.points.push(RetrievalPoint {
            amount: *amount,
            cases: learned_from / divisions.len(),
            retrieval,
        });
    }
    let recall = curve.points.iter();
    let outcome = json!({
        "cases": rows.len(),
        "recall_at_5_by_amount": recall.map(|p| (p.amount, p.retrieval.recall_at_5)).collect::<Vec<_>>(),
    });
    let what = ("learning curve of retrieval", started);
    ledger::judged(
        &options.home,
        data,
        (&base.identity().hash, None),
        what,
        outcome,
    )?;
    Ok(curve)
}

/// Learns from the pairs of some rows.
type Teach<'a> = dyn FnMut(&[usize], &mut dyn FnMut(Progress)) -> Result<Towers> + 'a;

/// Retrieval before and after over the pairs of all folds, those of each ranked among themselves by what was learned from the others.
///
/// Errors if a fold has fewer than two pairs, or as `teach` does.
pub(super) fn judge_in_folds(
    base: &Base,
    cases: &Cases,
    groups: &[u64],
    divisions: &[Division],
    teach: &mut Teach<'_>,
    stop: &Interrupt,
    progress: &mut dyn FnMut(Progress),
) -> Result<PairsReport> {
    let unchanged = base_towers(base)?;
    let (mut before, mut after) = (Ranks::default(), Ranks::default());
    for division in divisions {
        let adapted = teach(&division.pool, progress)?;
        before.append(rank_pairs(
            &unchanged,
            cases,
            &division.judged,
            stop,
            progress,
        )?);
        after.append(rank_pairs(
            &adapted,
            cases,
            &division.judged,
            stop,
            progress,
        )?);
    }
    let judged = divisions.iter().flat_map(|division| &division.judged);
    let own: Vec<u64> = judged.map(|i| groups[*i]).collect();
    Ok(compare(&before, &after, &own))
}

/// What is learned from some pairs as a run does: a quarter of the patients chooses the best step, if there are steps.
pub(super) fn learn(
    base: &Base,
    cases: &Cases,
    groups: &[u64],
    rows: &[usize],
    plan: &TunePlan,
    stop: &Interrupt,
    progress: &mut dyn FnMut(Progress),
) -> Result<Towers> {
    let run = tempfile::tempdir().map_err(|source| AssistantError::Io {
        what: "a folder for the run".into(),
        source,
    })?;
    let own: Vec<u64> = rows.iter().map(|i| groups[*i]).collect();
    let strata = vec![Vec::new(); rows.len()];
    let parts = stratified_parts(&own, &strata, &FIT_AND_CHOOSE, plan.seed)?;
    let of = |part: usize| of_part(rows, &parts, |own| own == part);
    let tuned = tune_pairs(
        base.model(),
        cases,
        &cases.reports,
        &of(0),
        &of(1),
        plan,
        run.path(),
        stop,
        progress,
    )?;
    match tuned.ending {
        Ending::Stopped => Err(AssistantError::Stopped),
        _ => Ok(tuned.towers),
    }
}
