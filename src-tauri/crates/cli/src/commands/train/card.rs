//! The demo pack's model card.

use std::fmt::Write as _;

use super::answers::{LEAST_COVERAGE, POOLED, Rates, WANTED_ACCURACY};
use super::clip::SIDE;
use super::findings::FindingFigures;
use super::pack::{LICENCE, Parts};

/// The card as Markdown.
pub fn text(parts: &Parts<'_>, findings: &FindingFigures) -> String {
    let m = parts.measured;
    let percent = |v: f64| format!("{:.1} %", v * 100.0);
    let optional = |v: Option<f64>| v.map_or("–".to_string(), percent);
    let mut out = String::new();
    // Writing to a string cannot fail.
    let _ = write!(
        out,
        "# Lucency demo model\n\n\
         A compact CLIP with a question-answering head, trained from nothing on two CPU cores. It exists so that the application,\n\
         its tests and its demo study work out of the box. **It is not a medical device and must not be used for patients.**\n\n\
         ## What it is\n\n\
         - Image tower: CLIP's modified ResNet, layers 1-2-2-1, width 24, {side} × {side} grey pixels; attention pool.\n\
         - Text tower: 3 transformer layers of width 192, {context} tokens, {vocab} ids of CLIP's vocabulary.\n\
         - Shared space of {dim} dimensions. Weights are stored as 16-bit floats.\n\
         - Answer head: pooled image features and hashed n-grams of the question, low-rank bilinear fusion, {answers} answers. A\n\
           yes-or-no question is answered with yes or no.\n\
         {memory}\n\
         ## Data\n\n\
         | source | licence | used for |\n|---|---|---|\n\
         | Phantoms: synthetic chest radiographs and head CT with known truth, drawn by this project | none needed | towers, head, calibration |\n\
         | MedNIST (B. Erickson, Mayo Clinic; from TCIA, RSNA bone age, NIH), four of five images | CC BY-SA 4.0 | towers, head |\n\
         | VQA-RAD training questions (Lau et al. 2018), without a tenth of the images and a tenth of the questions for the towers | CC0 1.0 | towers, head |\n\n\
         The weights are licensed {LICENCE}, because MedNIST is share-alike.\n\n\
         ## Recipe\n\n\
         ```\n\
         lucency train clip --preset demo --mednist DIR --vqa-rad DIR --out RUN\n\
         lucency train clip --preset demo --mednist DIR --vqa-rad DIR --from RUN --out REFINED\n\
         lucency train answers --preset demo --run REFINED --mednist DIR --vqa-rad DIR --out assets/packs/demo\n\
         ```\n\n\
         Towers: {stages}, batches of 48 images, seed 7. Losses: multi-positive InfoNCE with captions, cross-entropy of claims against\n\
         their denials, cross-entropy over class prompts, and two read-outs that are dropped afterwards (findings in every cell of the\n\
         trunk's grid, whose places the phantoms know, and all claims from the embedding). Every batch holds pairs of a\n\
         phantom with and without a line or a nodule. The second run has a lower rate and more of MedNIST. AdamW, warm-up and cosine, averaged weights.{note} Head: frozen towers; the shipped head is fitted on\n\
         all training questions, its figures below come from a fit without the held-out ones.\n\
         Confidence is divided by a temperature of {temperature:.2}, fitted on held-out questions and held-out images together. Below\n\
         {threshold:.2} the application says that it does not know: the lowest confidence from which {wanted} of these answers are right, or the\n\
         one that answers {least} if that cannot be had. A finding counts as present from a calibrated probability of one half; where that finds\n\
         less than 60 % of the calibration cases, from the highest probability that finds them, but never below 0.3.\n\n",
        side = SIDE,
        memory = memory(parts),
        context = parts.clip_config.text.context,
        vocab = parts.clip_config.text.vocab,
        dim = parts.clip_config.embed_dim,
        answers = parts.head.answers.len(),
        stages = stages(parts),
        note = parts.note.map_or(String::new(), |n| format!(" {n}")),
        temperature = m.temperature,
        threshold = m.threshold,
        wanted = percent(WANTED_ACCURACY),
        least = percent(LEAST_COVERAGE),
    );
    let (n, accuracy, recall) = &findings.six_classes;
    let _ = write!(
        out,
        "## Figures (own validation)\n\n\
         Zero-shot classes on MedNIST's held-out fifth (n {n}): accuracy {}; recall by class {}.\n\n\
         Zero-shot findings on {} phantoms of fresh seeds, both sites: macro AUROC {:.3}.\n\n\
         | finding | AUROC | ECE |\n|---|---|---|\n",
        percent(*accuracy),
        recall
            .iter()
            .map(|r| percent(*r))
            .collect::<Vec<_>>()
            .join(", "),
        findings.n,
        findings.macro_auroc,
    );
    for (name, figure) in &findings.findings {
        let _ = writeln!(out, "| {name} | {:.3} | {:.3} |", figure.auroc, figure.ece);
    }
    let (n, right) = findings.phantom_questions;
    let _ = write!(
        out,
        "\nClosed questions about these phantoms (n {n}): {} right.\n\n\
         Questions of VQA-RAD, compared after the VQA normalisation. Held-out questions are on images that the model saw with other\n\
         questions, as in the published split; held-out images were never seen. The controls answer from the question with a mean image, or with\n\
         another question's image.\n\n\
         | questions | n | open | closed | overall |\n|---|---|---|---|---|\n",
        percent(right)
    );
    for (
        name,
        Rates {
            n,
            open,
            closed,
            overall,
            ..
        },
    ) in &m.answers
    {
        let _ = writeln!(
            out,
            "| {name} | {n} | {} | {} | {} |",
            optional(*open),
            optional(*closed),
            percent(*overall)
        );
    }
    if let Some(r) = m.answers.get(POOLED) {
        let _ = write!(
            out,
            "\nCalibration error on held-out questions and images together: {:.3} before the temperature, {:.3} after (fitted on one half, measured on the other).\n\
             Answered: {}, of which {} are right.\n",
            m.ece_before,
            m.ece_after,
            percent(r.coverage),
            optional(r.selective_accuracy)
        );
    }
    let _ = write!(
        out,
        "\n## What it cannot do\n\n\
         - Its findings are learned from drawings. On real radiographs they are not evidence of anything; nobody measured them there.\n\
         - It sees {SIDE} × {SIDE} pixels: what is smaller than a few of them is lost.\n\
         - Most of what it knows about real questions comes from the wording, and from having seen similar questions about the same 314 images.\n\
           On images that it never saw it is no better than the question alone, and too sure of itself; the application flags answers that the image does not change.\n\
         - It knows a fixed list of answers and English alone.\n\
         - A head CT is judged one slice at a time.\n",
    );
    out
}

/// A line about the memory.
fn memory(parts: &Parts<'_>) -> String {
    let Some(m) = &parts.head.memory else {
        return String::new();
    };
    format!(
        "- Memory: {} questions about {} images of VQA-RAD in {} wordings, kept as hashed terms and image features (no text, no pixels). Kernel\n\
         ridge regression: a remembered case counts where both its wording and its image are like what is asked. The head's\n\
         log-probabilities times {} and remembered scores times {} are added; both factors were chosen on half of the held-out questions.\n",
        m.cases, m.images, m.wordings, m.trust, m.weight
    )
}

/// "1900 steps in 44 minutes, then 650 steps in 14 minutes".
fn stages(parts: &Parts<'_>) -> String {
    let stage = |s: &lucency_train::checkpoint::State| {
        format!("{} steps in {:.0} minutes", s.step, s.elapsed_s / 60.0)
    };
    parts
        .stages
        .iter()
        .map(stage)
        .collect::<Vec<_>>()
        .join(", then ")
}
