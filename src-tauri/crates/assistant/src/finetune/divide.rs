//! Who is trained on, who chooses, who is judged.

use lucency_train::cohort::{
    Part, RecordedCase, SplitRecord, SplitUnit, check_leaks, stratified_parts,
};

use super::cases::Cases;
use super::refuse;
use crate::error::Result;

/// Patients of each class below which nobody is left out: a third of so few says nothing.
pub const LEAST_PATIENTS: usize = 5;
/// Training, validation and test.
const SHARES: [f64; 3] = [0.6, 0.2, 0.2];

/// Calibration and judgement of an adapter that was trained elsewhere.
const JUDGING_SHARES: [f64; 2] = [0.4, 0.6];

/// Rows by what they are for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sides {
    /// Fitting.
    pub train: Vec<usize>,
    /// Choosing the best step and calibrating; may be none.
    pub validation: Vec<usize>,
    /// The report; may be none.
    pub test: Vec<usize>,
}

impl Sides {
    /// What the table says, checked for leaks; without a word from it, parts by patient.
    ///
    /// - `rows`: that take part; `strata`: of every row of the table
    /// - `fewest`: patients of the rarest class
    ///
    /// Errors if the table puts a patient or an image on two sides.
    pub fn of(
        cases: &Cases,
        groups: &[u64],
        rows: &[usize],
        strata: &[Vec<usize>],
        fewest: usize,
        seed: u64,
    ) -> Result<Self> {
        let Some(parts) = &cases.parts else {
            return divide(groups, rows, strata, fewest, seed);
        };
        let of = |part: Part| -> Vec<usize> {
            rows.iter().copied().filter(|i| parts[*i] == part).collect()
        };
        let mut sides = Self {
            train: of(Part::Train),
            validation: of(Part::Validation),
            test: of(Part::Test),
        };
        sides.check(cases)?;
        if sides.validation.is_empty() && fewest >= LEAST_PATIENTS {
            let shares = [1.0 - SHARES[1], SHARES[1]];
            let (train, validation) = two(groups, &sides.train, strata, &shares, seed)?;
            sides.train = train;
            sides.validation = validation;
        }
        Ok(sides)
    }

    /// Cases to calibrate on, as `validation`, and others to judge on, as `test`, for an adapter that was trained elsewhere: what the
    /// table says (`test` is judged, the other words calibrate), else two fifths and three fifths of the patients.
    ///
    /// Arguments as [`Sides::of`]. Errors if there are fewer than five patients of a class, or the table puts a patient or an image on
    /// both sides.
    pub fn to_judge(
        cases: &Cases,
        groups: &[u64],
        rows: &[usize],
        strata: &[Vec<usize>],
        fewest: usize,
        seed: u64,
    ) -> Result<Self> {
        if fewest < LEAST_PATIENTS {
            return Err(refuse(
                "too_few_patients",
                format!(
                    "the rarest class has {fewest} patients; calibrating on some and judging on others wants at least {LEAST_PATIENTS} of each class"
                ),
            ));
        }
        let (validation, test) = match &cases.parts {
            None => two(groups, rows, strata, &JUDGING_SHARES, seed)?,
            Some(parts) => rows.iter().partition(|i| parts[**i] != Part::Test),
        };
        let sides = Self {
            train: Vec::new(),
            validation,
            test,
        };
        if sides.validation.is_empty() || sides.test.is_empty() {
            return Err(refuse(
                "bad_split",
                "the table's split column leaves nothing to calibrate on, or nothing to judge on; it wants validation and test rows",
            ));
        }
        sides.check(cases)?;
        Ok(sides)
    }

    fn check(&self, cases: &Cases) -> Result<()> {
        let (train, validation) = (
            cases.members_of(&self.train),
            cases.members_of(&self.validation),
        );
        let test = cases.members_of(&self.test);
        check_leaks("the table's training and test rows", &train, &test)?;
        check_leaks("the table's validation and test rows", &validation, &test)?;
        check_leaks(
            "the table's training and validation rows",
            &train,
            &validation,
        )?;
        Ok(())
    }

    /// The division as it is kept beside an adapter.
    pub fn record(&self, cases: &Cases, seed: u64) -> SplitRecord {
        let part = |row: &usize| match () {
            () if self.test.contains(row) => Some(Part::Test),
            () if self.validation.contains(row) => Some(Part::Validation),
            () => self.train.contains(row).then_some(Part::Train),
        };
        let known = |row: usize| Some((row, part(&row)?));
        SplitRecord {
            seed: cases.parts.is_none().then_some(seed),
            unit: match cases.members.iter().any(|m| m.patient.is_some()) {
                true => SplitUnit::Patient,
                false => SplitUnit::Image,
            },
            cases: (0..cases.members.len())
                .filter_map(known)
                .map(|(row, part)| RecordedCase {
                    image: cases.members[row].fingerprint.clone(),
                    patient: cases.members[row].patient.clone(),
                    part,
                })
                .collect(),
        }
    }
}

fn divide(
    groups: &[u64],
    rows: &[usize],
    strata: &[Vec<usize>],
    fewest: usize,
    seed: u64,
) -> Result<Sides> {
    if fewest < LEAST_PATIENTS {
        return Ok(Sides {
            train: rows.to_vec(),
            ..Sides::default()
        });
    }
    let parts = parts(groups, rows, strata, &SHARES, seed)?;
    Ok(Sides {
        train: of_part(rows, &parts, |p| p == 0),
        validation: of_part(rows, &parts, |p| p == 1),
        test: of_part(rows, &parts, |p| p == 2),
    })
}

fn two(
    groups: &[u64],
    rows: &[usize],
    strata: &[Vec<usize>],
    shares: &[f64],
    seed: u64,
) -> Result<(Vec<usize>, Vec<usize>)> {
    let parts = parts(groups, rows, strata, shares, seed)?;
    Ok((
        of_part(rows, &parts, |p| p == 0),
        of_part(rows, &parts, |p| p == 1),
    ))
}

/// Rows whose part is wanted; `parts` has one for each row.
pub(super) fn of_part(
    rows: &[usize],
    parts: &[usize],
    wanted: impl Fn(usize) -> bool,
) -> Vec<usize> {
    let pairs = rows.iter().zip(parts);
    pairs
        .filter(|(_, part)| wanted(**part))
        .map(|(row, _)| *row)
        .collect()
}

fn parts(
    groups: &[u64],
    rows: &[usize],
    strata: &[Vec<usize>],
    shares: &[f64],
    seed: u64,
) -> Result<Vec<usize>> {
    let own: Vec<u64> = rows.iter().map(|i| groups[*i]).collect();
    let labels: Vec<Vec<usize>> = rows.iter().map(|i| strata[*i].clone()).collect();
    Ok(stratified_parts(&own, &labels, shares, seed)?)
}
