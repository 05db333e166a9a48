//! What a report shows beside its figures: curves, confusion, the worst cases, and every score.

use std::path::Path;

use lucency_train::finetune::LabelTable;
use lucency_train::metrics::{argmax, ece_bins};
use lucency_train::probe::Labels;
use serde::{Deserialize, Serialize};

use super::cases::{Cases, image_below};
use crate::csv;
use crate::dto::{ClassPlots, ConfusionTable, PlotPoint, WorstCase};
use crate::error::Result;

/// Points of a curve at most.
const POINTS: usize = 120;
/// Bins of a reliability plot.
const BINS: usize = 10;
/// Worst cases that are kept.
const WORST: usize = 12;

/// What is kept for the report page.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Details {
    /// Plots of each class.
    pub plots: Vec<ClassPlots>,
    /// Cases by true and by likeliest class; exclusive classes alone.
    pub confusion: Option<ConfusionTable>,
    /// Worst first.
    pub worst: Vec<WorstCase>,
}

/// Curves, confusion and worst cases of judged cases.
///
/// - `table`: labels of the judged rows; `after`, `before`: probabilities, `[rows][classes]`; `paths`: of the images
///
/// Errors if the lengths differ.
pub fn details(
    table: &LabelTable,
    after: &[Vec<f64>],
    before: &[Vec<f64>],
    paths: &[String],
) -> Result<Details> {
    let labels = &table.labels;
    let mut plots = Vec::new();
    for (class, name) in table.names.iter().enumerate() {
        let rows: Vec<usize> = (0..labels.len())
            .filter(|i| labels.truth(*i, class).is_some())
            .collect();
        let truth: Vec<bool> = rows
            .iter()
            .map(|i| labels.truth(*i, class) == Some(true))
            .collect();
        let of =
            |scores: &[Vec<f64>]| -> Vec<f64> { rows.iter().map(|i| scores[*i][class]).collect() };
        let (after, before) = (of(after), of(before));
        plots.push(ClassPlots {
            name: name.clone(),
            roc_after: roc(&after, &truth),
            roc_before: roc(&before, &truth),
            reliability_after: reliability(&after, &truth)?,
            reliability_before: reliability(&before, &truth)?,
        });
    }
    Ok(Details {
        plots,
        confusion: confusion(table, after, before),
        worst: worst(table, after, paths),
    })
}

/// The ROC curve from (0, 0) to (1, 1); empty if one side has no case. Equal scores make one point.
fn roc(scores: &[f64], truth: &[bool]) -> Vec<PlotPoint> {
    let positives = truth.iter().filter(|t| **t).count() as f64;
    let negatives = truth.len() as f64 - positives;
    if positives == 0.0 || negatives == 0.0 {
        return Vec::new();
    }
    let mut order: Vec<usize> = (0..scores.len()).collect();
    order.sort_by(|a, b| scores[*b].total_cmp(&scores[*a]));
    let mut points = vec![PlotPoint { x: 0.0, y: 0.0 }];
    let (mut hits, mut alarms) = (0.0, 0.0);
    for (place, i) in order.iter().enumerate() {
        match truth[*i] {
            true => hits += 1.0,
            false => alarms += 1.0,
        }
        let next = order.get(place + 1);
        if next.is_none_or(|next| scores[*next] != scores[*i]) {
            points.push(PlotPoint {
                x: alarms / negatives,
                y: hits / positives,
            });
        }
    }
    thin(points)
}

/// Some of the points, both ends among them.
fn thin(points: Vec<PlotPoint>) -> Vec<PlotPoint> {
    let n = points.len();
    if n <= POINTS {
        return points;
    }
    let place = |i: usize| i * (n - 1) / (POINTS - 1);
    (0..POINTS).map(|i| points[place(i)]).collect()
}

fn reliability(scores: &[f64], truth: &[bool]) -> Result<Vec<PlotPoint>> {
    if scores.is_empty() {
        return Ok(Vec::new());
    }
    let bins = ece_bins(BINS, scores, truth)?;
    Ok(bins
        .into_iter()
        .filter(|bin| bin.count > 0)
        .map(|bin| PlotPoint {
            x: bin.confidence,
            y: bin.accuracy,
        })
        .collect())
}

fn confusion(
    table: &LabelTable,
    after: &[Vec<f64>],
    before: &[Vec<f64>],
) -> Option<ConfusionTable> {
    let Labels::Classes { of, classes } = &table.labels else {
        return None;
    };
    let count = |scores: &[Vec<f64>]| {
        let mut cells = vec![vec![0; *classes]; *classes];
        for (row, class) in of.iter().enumerate() {
            if let Some(class) = class {
                cells[*class][argmax(&scores[row])] += 1;
            }
        }
        cells
    };
    Some(ConfusionTable {
        classes: table.names.clone(),
        after: count(after),
        before: count(before),
    })
}

/// Cases whose likeliest statement is wrong, the surest of them first.
fn worst(table: &LabelTable, after: &[Vec<f64>], paths: &[String]) -> Vec<WorstCase> {
    let mut found = Vec::new();
    match &table.labels {
        Labels::Classes { of, .. } => {
            for (row, class) in of.iter().enumerate() {
                let said = argmax(&after[row]);
                if let Some(class) = class.filter(|class| *class != said) {
                    found.push(WorstCase {
                        path: paths[row].clone(),
                        truth: table.names[class].clone(),
                        said: table.names[said].clone(),
                        probability: after[row][said],
                    });
                }
            }
        }
        Labels::Findings { .. } => {
            for (row, scores) in after.iter().enumerate() {
                for (finding, name) in table.names.iter().enumerate() {
                    let p = scores[finding];
                    let said = p >= 0.5;
                    let truth = table.labels.truth(row, finding);
                    if truth.is_none_or(|truth| truth == said) {
                        continue;
                    }
                    let words = |present: bool| match present {
                        true => name.clone(),
                        false => format!("no {name}"),
                    };
                    found.push(WorstCase {
                        path: paths[row].clone(),
                        truth: words(!said),
                        said: words(said),
                        probability: if said { p } else { 1.0 - p },
                    });
                }
            }
        }
    }
    found.sort_by(|a, b| b.probability.total_cmp(&a.probability));
    found.truncate(WORST);
    found
}

/// Image files of some rows.
pub fn paths(cases: &Cases, rows: &[usize]) -> Vec<String> {
    let path = |i: &usize| image_below(Path::new(&cases.folder), Path::new(&cases.images[*i]));
    rows.iter()
        .map(|i| path(i).to_string_lossy().into_owned())
        .collect()
}

/// A table of image, patient, label, and each class's probability with the adapter and with the base pack alone.
///
/// Columns of probabilities are `score:CLASS` and `base:CLASS`; labels of several findings are `label:FINDING` with 1, 0 or nothing.
pub fn scores_table(
    cases: &Cases,
    rows: &[usize],
    table: &LabelTable,
    adapted: &[Vec<f64>],
    base: &[Vec<f64>],
) -> String {
    let mut header = vec!["image".to_owned(), "patient".to_owned()];
    match table.exclusive() {
        true => header.push("label".to_owned()),
        false => header.extend(table.names.iter().map(|n| format!("label:{n}"))),
    }
    header.extend(table.names.iter().map(|n| format!("score:{n}")));
    header.extend(table.names.iter().map(|n| format!("base:{n}")));
    let mut text = csv::record(header.iter().map(String::as_str));
    for (i, row) in rows.iter().enumerate() {
        let mut fields = vec![cases.images[*row].clone(), cases.patients[*row].clone()];
        let truths: Vec<Option<bool>> = (0..table.names.len())
            .map(|class| table.labels.truth(i, class))
            .collect();
        if table.exclusive() {
            let class = truths.iter().position(|t| *t == Some(true));
            fields.push(class.map(|c| table.names[c].clone()).unwrap_or_default());
        } else {
            fields.extend(truths.iter().map(|t| match t {
                Some(true) => "1".to_owned(),
                Some(false) => "0".to_owned(),
                None => String::new(),
            }));
        }
        let all = adapted[i].iter().chain(&base[i]);
        fields.extend(all.map(|p| format!("{p}"))); // shortest text that reads back to the same number
        text.push_str(&csv::record(fields.iter().map(String::as_str)));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_roc_curve_steps_at_different_scores_and_joins_equal_ones() {
        let truth = [true, false, true, false];
        let xy = |scores: &[f64]| -> Vec<(f64, f64)> {
            roc(scores, &truth).iter().map(|p| (p.x, p.y)).collect()
        };
        let wanted = [(0.0, 0.0), (0.0, 0.5), (0.5, 0.5), (0.5, 1.0), (1.0, 1.0)];
        assert_eq!(xy(&[0.9, 0.8, 0.7, 0.1]), wanted);
        assert_eq!(xy(&[0.5; 4]), [(0.0, 0.0), (1.0, 1.0)]);
        assert!(roc(&[0.5, 0.6], &[true, true]).is_empty());
        let many: Vec<f64> = (0..1000).map(f64::from).collect();
        let truth: Vec<bool> = (0..1000).map(|i| i % 3 == 0).collect();
        let curve = roc(&many, &truth);
        assert_eq!(curve.len(), POINTS);
        assert_eq!((curve[0].x, curve[POINTS - 1].x), (0.0, 1.0));
    }

    #[test]
    fn the_surest_mistake_comes_first_and_the_confusion_counts_all() {
        let table = LabelTable {
            names: vec!["a".into(), "b".into()],
            labels: Labels::Classes {
                of: vec![Some(0), Some(1), Some(1), None],
                classes: 2,
            },
        };
        let after = [[0.4, 0.6], [0.1, 0.9], [0.8, 0.2], [0.9, 0.1]].map(|r| r.to_vec());
        let paths = ["0", "1", "2", "3"].map(String::from);
        let found = details(&table, &after, &after, &paths).unwrap();
        let places: Vec<&str> = found.worst.iter().map(|w| w.path.as_str()).collect();
        assert_eq!(places, ["2", "0"]);
        assert_eq!((&*found.worst[0].truth, &*found.worst[0].said), ("b", "a"));
        assert_eq!(found.confusion.unwrap().after, [[0, 1], [1, 1]]);
    }
}
