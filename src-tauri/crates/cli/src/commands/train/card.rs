//! The demo pack's model card.

use std::fmt::Write as _;

use super::clip::SIDE;
use super::findings::FindingFigures;
use super::measured::{LEAST_COVERAGE, WANTED_ACCURACY};
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
         phantom with and without a line or a nodule. The second run has a lower rate and more of MedNIST. AdamW, warm-up and cosine, averaged weights.{note} Head: frozen towers.\n\
         Ranker: fitted on questions that head and memory had not seen (four folds of questions on known images, three of images, and phantoms,\n\
         which count alike); its probabilities are the confidence. The shipped head and memory are fitted on all training questions; the\n\
         figures below come from the folds, each judged by a ranker that was fitted on the others. Below a confidence of\n\
         {threshold:.2} the application says that it does not know: the lowest from which {wanted} of the answers are right, or the\n\
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
         Questions of VQA-RAD, compared after the VQA normalisation. On known images the question was left out together with its paraphrases, as in the\n\
         published split; new images were left out with all their questions. The controls answer from the question with a mean image, or with\n\
         another question's image. The towers had seen most of these questions as captions; the lines \"new to the towers too\" are those they had not.\n\n\
         | questions | n | open | closed | overall | ECE | answered | right of these |\n|---|---|---|---|---|---|---|---|\n",
        percent(right)
    );
    for (name, r) in &m.answers {
        let _ = writeln!(
            out,
            "| {name} | {} | {} | {} | {} | {:.3} | {} | {} |",
            r.n,
            optional(r.open),
            optional(r.closed),
            percent(r.overall),
            r.ece,
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
           On images that it never saw it is hardly better than the question alone; it mostly abstains there, and flags answers that the image does not change.\n\
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
         ridge regression: a remembered case counts where both its wording and its image are like what is asked.\n\
         - Ranker: weighs what head, memory and the known facts about the image say for each possible answer, and for none of them.\n",
        m.cases, m.images, m.wordings
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
