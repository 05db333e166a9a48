//! Choices of method with numbers that work for most sites.

use lucency_nn::{Compute, Precision};
use lucency_train::finetune::{Calibration, Method, TunePlan};
use lucency_train::optim::Rate;
use lucency_train::probe::ProbePlan;

use super::refuse;
use crate::dto::{
    CalibrationMethod, TrainingMethod, TrainingNeed, TrainingOptions, TrainingPrecision,
    TrainingPreset,
};
use crate::error::Result;

/// Everything that a run's training follows from.
#[derive(Clone)]
pub enum Numbers {
    /// A regression on features.
    Probe(ProbePlan),
    /// Training by gradients.
    Tune(TunePlan),
}

impl From<TrainingMethod> for Method {
    fn from(method: TrainingMethod) -> Self {
        match method {
            TrainingMethod::Probe => Self::Probe,
            TrainingMethod::Lora => Self::Lora,
            TrainingMethod::Ia3 => Self::Ia3,
            TrainingMethod::Prefix => Self::Prefix,
            TrainingMethod::Prompt => Self::Prompt,
            TrainingMethod::Full => Self::Full,
            TrainingMethod::Contrastive => Self::Contrastive,
        }
    }
}

impl From<CalibrationMethod> for Calibration {
    fn from(method: CalibrationMethod) -> Self {
        match method {
            CalibrationMethod::Temperature => Self::Temperature,
            CalibrationMethod::Platt => Self::Platt,
            CalibrationMethod::Isotonic => Self::Isotonic,
        }
    }
}

/// The calibration that is asked for.
pub(super) fn calibration_of(asked: Option<CalibrationMethod>) -> Calibration {
    asked.map_or(Calibration::Standard, Calibration::from)
}

impl From<Method> for TrainingMethod {
    fn from(method: Method) -> Self {
        match method {
            Method::Probe => Self::Probe,
            Method::Lora => Self::Lora,
            Method::Ia3 => Self::Ia3,
            Method::Prefix => Self::Prefix,
            Method::Prompt => Self::Prompt,
            Method::Full => Self::Full,
            Method::Contrastive => Self::Contrastive,
        }
    }
}

struct Row {
    id: &'static str,
    title: &'static str,
    description: &'static str,
    method: TrainingMethod,
    recommended: bool,
}

const ROWS: [Row; 9] = [
    Row {
        id: "few_labels",
        title: "Few labels: probe",
        description: "Learns from what the model already sees. Seconds, and hard to spoil. Begin here.",
        method: TrainingMethod::Probe,
        recommended: true,
    },
    Row {
        id: "hundreds",
        title: "Hundreds: LoRA",
        description: "Small updates of every layer. For some hundred labelled cases of many patients.",
        method: TrainingMethod::Lora,
        recommended: true,
    },
    Row {
        id: "reports",
        title: "Reports: linear heads",
        description: "Learns which words of your reports go with which texture of images, for search. Seconds; the towers stay as they are.",
        method: TrainingMethod::Contrastive,
        recommended: true,
    },
    Row {
        id: "prompt",
        title: "Words: prompt context",
        description: "Learns a few vectors before the class names. The towers stay as they are.",
        method: TrainingMethod::Prompt,
        recommended: false,
    },
    Row {
        id: "ia3",
        title: "Scales: IA3",
        description: "Learns a factor for each channel: the smallest adapter.",
        method: TrainingMethod::Ia3,
        recommended: false,
    },
    Row {
        id: "prefix",
        title: "Prefix",
        description: "Learns keys and values before those of every attention layer.",
        method: TrainingMethod::Prefix,
        recommended: false,
    },
    Row {
        id: "full",
        title: "All weights",
        description: "Changes the whole model. For thousands of cases; slow, and it forgets the most.",
        method: TrainingMethod::Full,
        recommended: false,
    },
    Row {
        id: "text_tower",
        title: "Reports: text tower",
        description: "Contrastive training of the text tower. For thousands of reports. The image tower stays as it is.",
        method: TrainingMethod::Contrastive,
        recommended: false,
    },
    Row {
        id: "pubmedclip",
        title: "Reports: as PubMedCLIP",
        description: "Contrastive training with the published numbers: Adam at 1e-5, batches of 64, 50 passes.",
        method: TrainingMethod::Contrastive,
        recommended: false,
    },
];

/// All presets, the recommended ones first.
pub fn presets() -> Vec<TrainingPreset> {
    ROWS.iter()
        .map(|row| TrainingPreset {
            id: row.id.into(),
            title: row.title.into(),
            description: row.description.into(),
            method: row.method,
            needs: match row.method {
                TrainingMethod::Contrastive => TrainingNeed::Reports,
                _ => TrainingNeed::Labels,
            },
            recommended: row.recommended,
            options: stated(row),
        })
        .collect()
}

/// The first preset of a method.
pub fn preset_of_method(method: TrainingMethod) -> String {
    let found = ROWS.iter().find(|row| row.method == method);
    found.map_or("", |row| row.id).to_owned()
}

fn plan_of(row: &Row) -> TunePlan {
    match row.id {
        "reports" => TunePlan::report_heads(),
        "pubmedclip" => TunePlan::pubmedclip(),
        _ => TunePlan::preset(row.method.into()),
    }
}

fn stated(row: &Row) -> TrainingOptions {
    if row.method == TrainingMethod::Probe {
        return TrainingOptions {
            seed: Some(ProbePlan::default().seed),
            ..TrainingOptions::default()
        };
    }
    let plan = plan_of(row);
    if plan.report_heads {
        return TrainingOptions {
            seed: Some(plan.seed),
            ..TrainingOptions::default()
        };
    }
    let only =
        |methods: &[TrainingMethod], value: usize| methods.contains(&row.method).then_some(value);
    use TrainingMethod::{Contrastive, Full, Lora, Prefix, Prompt};
    TrainingOptions {
        epochs: Some(plan.epochs),
        batch: Some(plan.batch),
        rate: Some(match plan.rate {
            Rate::Constant { rate } => rate,
            Rate::Cosine { peak, .. } => peak,
            Rate::Stepped { base, .. } => base,
        }),
        rank: only(&[Lora], plan.rank),
        alpha: (row.method == Lora).then_some(plan.alpha),
        tokens: only(&[Prefix, Prompt], plan.tokens),
        frozen_blocks: only(&[Full, Contrastive], plan.frozen_blocks),
        locked_images: (row.method == Contrastive).then_some(plan.locked_images),
        seed: Some(plan.seed),
        checkpointing: Some(plan.checkpointing),
        calibration: None,
        precision: None,
    }
}

/// The method and the numbers of a preset with a user's changes.
///
/// Errors if there is no such preset, or the numbers cannot work together.
pub fn numbers(preset: &str, options: &TrainingOptions) -> Result<(TrainingMethod, Numbers)> {
    let Some(row) = ROWS.iter().find(|row| row.id == preset) else {
        let there: Vec<&str> = ROWS.iter().map(|row| row.id).collect();
        let message = format!(
            "there is no preset `{preset}`; there are {}",
            there.join(", ")
        );
        return Err(refuse("bad_preset", message));
    };
    if row.method == TrainingMethod::Probe {
        let default = ProbePlan::default();
        let seed = options.seed.unwrap_or(default.seed);
        return Ok((row.method, Numbers::Probe(ProbePlan { seed, ..default })));
    }
    let mut plan = plan_of(row);
    if plan.report_heads {
        refuse_steps(row, options)?;
    }
    if let Some(rate) = options.rate {
        if !(rate > 0.0 && rate.is_finite()) {
            return Err(refuse("bad_plan", "a learning rate is a positive number"));
        }
        plan.rate.set_base(rate);
    }
    plan.epochs = options.epochs.unwrap_or(plan.epochs);
    plan.batch = options.batch.unwrap_or(plan.batch);
    plan.rank = options.rank.unwrap_or(plan.rank);
    plan.alpha = options.alpha.unwrap_or(plan.alpha);
    plan.tokens = options.tokens.unwrap_or(plan.tokens);
    plan.frozen_blocks = options.frozen_blocks.unwrap_or(plan.frozen_blocks);
    plan.locked_images = options.locked_images.unwrap_or(plan.locked_images);
    plan.seed = options.seed.unwrap_or(plan.seed);
    plan.checkpointing = options.checkpointing.unwrap_or(plan.checkpointing);
    plan.precision = precision_of(options);
    plan.check()?;
    Ok((row.method, Numbers::Tune(plan)))
}

/// Refuses numbers of steps for what is solved without any.
fn refuse_steps(row: &Row, options: &TrainingOptions) -> Result<()> {
    let TrainingOptions {
        epochs: None,
        batch: None,
        rate: None,
        frozen_blocks: None,
        locked_images: None,
        checkpointing: None,
        ..
    } = options
    else {
        return Err(refuse(
            "bad_plan",
            format!(
                "the preset `{}` is solved in one go and has no rate, epochs, batch, frozen blocks, locked images or checkpointing: leave them out, or take the preset text_tower",
                row.id
            ),
        ));
    };
    Ok(())
}

/// Refuses to begin 16-bit training on the processor, which has no arithmetic in bf16 and would widen every product to f32 and back.
///
/// A run that was begun on another device goes on here all the same if that device fails.
pub(super) fn refuse_narrow(options: &TrainingOptions, compute: &Compute) -> Result<()> {
    match options.precision {
        Some(TrainingPrecision::Bf16 | TrainingPrecision::Mixed) if !compute.is_elsewhere() => {
            Err(refuse(
                "no_accelerator",
                "bf16 and mixed precision want a graphics device; training runs on the processor here, which is faster and exact in f32: take f32, or choose a device",
            ))
        }
        _ => Ok(()),
    }
}

fn precision_of(options: &TrainingOptions) -> Precision {
    match options.precision {
        None | Some(TrainingPrecision::F32) => Precision::F32,
        Some(TrainingPrecision::Bf16) => Precision::Bf16,
        Some(TrainingPrecision::Mixed) => Precision::Mixed,
    }
}

#[cfg(test)]
mod tests {
    use lucency_nn::DeviceChoice;

    use super::*;

    #[test]
    fn every_method_has_a_preset_that_can_be_carried_out() {
        for preset in presets() {
            let (method, _) = numbers(&preset.id, &preset.options).unwrap();
            assert_eq!(method, preset.method);
            assert!(!preset_of_method(method).is_empty());
        }
        let options = TrainingOptions {
            rate: Some(-1.0),
            ..TrainingOptions::default()
        };
        assert!(numbers("hundreds", &options).is_err());
        let mixed = TrainingOptions {
            precision: Some(TrainingPrecision::Mixed),
            ..TrainingOptions::default()
        };
        let refused = refuse_narrow(&mixed, &Compute::processor());
        let message = refused.err().unwrap().to_string();
        assert!(message.contains("take f32"), "{message}");
        let elsewhere = Compute::start(DeviceChoice::Reference, None).unwrap();
        refuse_narrow(&mixed, &elsewhere).unwrap();
        let Ok((_, Numbers::Tune(plan))) = numbers("hundreds", &mixed) else {
            panic!("the preset is trained by gradients");
        };
        assert_eq!(plan.precision, Precision::Mixed);
        let fast = TrainingOptions {
            epochs: Some(3),
            ..TrainingOptions::default()
        };
        assert!(numbers("text_tower", &fast).is_ok());
        let message = numbers("reports", &fast).err().unwrap().to_string();
        assert!(message.contains("text_tower"), "{message}");
        let message = numbers("none", &options).err().unwrap().to_string();
        assert!(message.contains("few_labels"), "{message}");
    }
}
