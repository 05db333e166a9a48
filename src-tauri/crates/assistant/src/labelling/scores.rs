//! Probabilities of a set's labels on cases that have embeddings: a probe on what a reader labelled, or the pack's own words.

use std::collections::{BTreeMap, HashMap};

use candle_core::{Device, Tensor};
use lucency_library::{LabelScheme, LabelValue, Labelling as _, SqliteStore};
use lucency_nn::ops;
use lucency_packs::{Decision, Label};
use lucency_train::probe::{ClassWeights, Features, Labels, Logistic, Precision, Standardise};

use super::same_name;
use crate::assistant::Assistant;
use crate::dto::LabelBasis;
use crate::error::Result;
use crate::findings::softmax;

/// Strength of the probe, scikit-learn's `C` on standardised features: few labels on many features are believed little.
const STRENGTH: f64 = 0.003;
/// Cases of every class, or of both sides of a finding, from which a probe is asked.
const LEAST: usize = 2;

/// What a reader said so far of cases that have embeddings.
pub(super) struct Known<'a> {
    /// `[cases][dim]`, unit length.
    pub vectors: Vec<&'a [f32]>,
    /// `[cases][classes]`.
    values: Vec<Vec<Option<LabelValue>>>,
}

/// Probabilities and what they rest on.
pub(super) struct Scored {
    /// `[points][classes]`.
    pub rows: Vec<Vec<f64>>,
    pub basis: LabelBasis,
    /// Cases of the probe.
    pub learned_from: usize,
}

impl<'a> Known<'a> {
    /// Reads a reader's labels of a set.
    pub fn of(
        store: &SqliteStore,
        set: &LabelScheme,
        reader: &str,
        vectors: &'a HashMap<String, Vec<f32>>,
    ) -> Result<Self> {
        let mut by_case: BTreeMap<String, Vec<Option<LabelValue>>> = BTreeMap::new();
        for reading in store.readings(Some(reader), &set.classes)? {
            let same = |class: &String| same_name(class, &reading.label.name);
            let Some(class) = set.classes.iter().position(same) else {
                continue;
            };
            let row = by_case.entry(reading.case_id);
            row.or_insert_with(|| vec![None; set.classes.len()])[class] = Some(reading.label.value);
        }
        let mut known = Self {
            vectors: Vec::new(),
            values: Vec::new(),
        };
        for (case, values) in by_case {
            if let Some(vector) = vectors.get(&case) {
                known.vectors.push(vector);
                known.values.push(values);
            }
        }
        Ok(known)
    }

    /// The one class of each case.
    fn classes(&self) -> Vec<Option<usize>> {
        let present = |value: &Option<LabelValue>| *value == Some(LabelValue::Positive);
        let of = |row: &Vec<Option<LabelValue>>| row.iter().position(present);
        self.values.iter().map(of).collect()
    }

    /// Whether a finding is there, of each case.
    fn finding(&self, class: usize) -> Vec<Option<bool>> {
        let of = |row: &Vec<Option<LabelValue>>| match row[class] {
            Some(LabelValue::Positive) => Some(true),
            Some(LabelValue::Negative) => Some(false),
            _ => None,
        };
        self.values.iter().map(of).collect()
    }
}

/// Probabilities of a set's labels.
///
/// - `points`: `[points][dim]`, unit length
/// - returns none if too few cases are labelled for a probe and the pack reads no words
pub(super) fn probabilities(
    assistant: &Assistant,
    set: &LabelScheme,
    known: &Known<'_>,
    points: &[&[f32]],
) -> Result<Option<Scored>> {
    if set.exclusive {
        let of = known.classes();
        let count = |class: usize| of.iter().filter(|c| **c == Some(class)).count();
        if (0..set.classes.len()).all(|class| count(class) >= LEAST) {
            let learned_from = of.iter().flatten().count();
            let classes = set.classes.len();
            let rows = probe(&known.vectors, &Labels::Classes { of, classes }, points)?;
            return Ok(Some(Scored {
                rows,
                basis: LabelBasis::Probe,
                learned_from,
            }));
        }
        return Ok(zero_shot(assistant, set, points)?.map(Scored::of_words));
    }
    // Findings are independent: each by a probe as soon as both its sides were seen.
    let mut rows = zero_shot(assistant, set, points)?;
    let (mut learned, mut all) = (0, true);
    for class in 0..set.classes.len() {
        let of = known.finding(class);
        let count = |value: bool| of.iter().filter(|v| **v == Some(value)).count();
        if count(true) < LEAST || count(false) < LEAST {
            all = false;
            continue;
        }
        learned = learned.max(count(true) + count(false));
        let one = Labels::Findings {
            of: of.into_iter().map(|v| vec![v]).collect(),
            findings: 1,
        };
        let scores = probe(&known.vectors, &one, points)?;
        // Without words, findings without a probe are as unknown as can be.
        let rows = rows.get_or_insert_with(|| vec![vec![0.5; set.classes.len()]; points.len()]);
        for (row, score) in rows.iter_mut().zip(scores) {
            row[class] = score[0];
        }
    }
    Ok(rows.map(|rows| match learned {
        0 => Scored::of_words(rows),
        learned_from => Scored {
            rows,
            basis: if all || !assistant.reads_text() {
                LabelBasis::Probe
            } else {
                LabelBasis::ZeroShot
            },
            learned_from,
        },
    }))
}

impl Scored {
    fn of_words(rows: Vec<Vec<f64>>) -> Self {
        Self {
            rows,
            basis: LabelBasis::ZeroShot,
            learned_from: 0,
        }
    }
}

/// Fits a regression on labelled vectors and asks it about others.
fn probe(known: &[&[f32]], labels: &Labels, points: &[&[f32]]) -> Result<Vec<Vec<f64>>> {
    let table = |rows: &[&[f32]]| {
        let columns = rows.first().map_or(0, |row| row.len());
        let values = rows
            .iter()
            .flat_map(|row| row.iter().map(|x| f64::from(*x)));
        Features::new(values.collect(), columns)
    };
    let known = table(known)?;
    let standardise = Standardise::fit(&known, &vec![true; known.rows()])?;
    let weights = ClassWeights::Balanced;
    let features = standardise.apply(&known)?;
    let logistic = Logistic::fit(&features, labels, weights, STRENGTH, Precision::COARSE)?;
    Ok(logistic.probabilities(&standardise.apply(&table(points)?)?)?)
}

/// What the pack's own comparison with words says; none if it reads images only.
///
/// Source: Radford et al. 2021, section 3.1.
fn zero_shot(
    assistant: &Assistant,
    set: &LabelScheme,
    points: &[&[f32]],
) -> Result<Option<Vec<Vec<f64>>>> {
    if !assistant.reads_text() || points.is_empty() {
        return Ok(None);
    }
    let labels: Vec<Label> = set
        .classes
        .iter()
        .map(|c| label(assistant, set, c))
        .collect();
    let rows: Vec<f32> = points.iter().flat_map(|p| p.iter().copied()).collect();
    let images = Tensor::from_vec(rows, (points.len(), points[0].len()), &Device::Cpu)?; // [n, dim]
    let scale = assistant.scale()?;
    let logits = |prompts: fn(&Label) -> Vec<String>| -> Result<Vec<Vec<f32>>> {
        let mean = |label: &Label| -> Result<Tensor> {
            let texts = assistant.comparable_texts(&prompts(label))?; // [prompts, dim]
            Ok(ops::l2_normalise(&texts.mean_keepdim(0)?)?) // [1, dim]
        };
        let words = labels.iter().map(mean).collect::<Result<Vec<_>>>()?;
        let words = Tensor::cat(&words, 0)?.t()?; // [dim, classes]
        Ok((images.matmul(&words.contiguous()?)? * scale)?.to_vec2()?) // [n, classes]
    };
    let wide = |row: &Vec<f32>| row.iter().map(|x| f64::from(*x)).collect::<Vec<f64>>();
    let positive = logits(Label::positive_prompts)?;
    if set.exclusive {
        return Ok(Some(
            positive.iter().map(|row| softmax(&wide(row))).collect(),
        ));
    }
    let negative = logits(Label::negative_prompts)?;
    let probability = |(label, (p, n)): (&Label, (f64, f64))| {
        let platt = label.calibration.unwrap_or(lucency_packs::Platt::IDENTITY);
        platt.probability(p - n)
    };
    let row = |(p, n): (&Vec<f32>, &Vec<f32>)| {
        let margins = wide(p).into_iter().zip(wide(n));
        labels.iter().zip(margins).map(probability).collect()
    };
    Ok(Some(positive.iter().zip(&negative).map(row).collect()))
}

/// The pack's own label of a name, with its prompts; or one in the pack's templates.
fn label(assistant: &Assistant, set: &LabelScheme, class: &str) -> Label {
    let manifest = assistant.pack().manifest();
    let wanted = match set.exclusive {
        true => Decision::Exclusive,
        false => Decision::Independent,
    };
    let fits = manifest.label_sets.iter().filter(|s| s.decision == wanted);
    let named = |label: &&Label| {
        let words = std::iter::once(&label.name).chain(&label.aliases);
        words.into_iter().any(|word| same_name(word, class))
    };
    if let Some(label) = fits.flat_map(|s| &s.labels).find(named) {
        return label.clone();
    }
    let plain = |texts: &[&str]| texts.iter().map(|t| (*t).to_owned()).collect();
    Label {
        name: class.to_owned(),
        aliases: Vec::new(),
        positive: match (set.exclusive, manifest.zero_shot_templates.is_empty()) {
            (true, false) => manifest.zero_shot_templates.clone(),
            (true, true) => plain(&["{}"]),
            (false, _) => plain(&["There is {}.", "{} is present."]),
        },
        negative: plain(&["There is no {}.", "No evidence of {}."]),
        calibration: None,
    }
}
