//! `--device` and `--compute-type`: where the networks of any command compute.

use std::sync::OnceLock;

use clap::{Args, ValueEnum};
use lucency_assistant::dto::{ComputeType, ComputingChoice};
use lucency_assistant::{Compute, Options};

use crate::output::CommandError;

/// Where networks compute.
#[derive(Args, Clone, Debug, Default)]
pub struct Choice {
    /// Where networks compute: auto, cpu, cuda or cuda:N, metal or metal:N, reference (the processor in f64, slow) [default: auto]
    #[arg(long, global = true, value_name = "DEVICE")]
    device: Option<String>,
    /// Type of numbers on an accelerator [default: f32]
    #[arg(long, global = true, value_name = "TYPE")]
    compute_type: Option<NumberChoice>,
}

/// Types of numbers by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum NumberChoice {
    /// 32-bit floats
    F32,
    /// 16-bit floats of IEEE 754
    F16,
    /// 16-bit floats with the range of 32 bits
    Bf16,
}

impl From<NumberChoice> for ComputeType {
    fn from(choice: NumberChoice) -> Self {
        match choice {
            NumberChoice::F32 => Self::F32,
            NumberChoice::F16 => Self::F16,
            NumberChoice::Bf16 => Self::Bf16,
        }
    }
}

static CHOICE: OnceLock<Choice> = OnceLock::new();
static COMPUTE: OnceLock<Compute> = OnceLock::new();

/// Takes the command line's choice; nothing is opened until a command wants it.
pub fn choose(choice: Choice) {
    let _ = CHOICE.set(choice); // once, at the start
}

/// Type of numbers that was asked for.
pub fn compute_type() -> Option<ComputeType> {
    CHOICE.get()?.compute_type.map(Into::into)
}

/// The device that was asked for, opened and tested.
///
/// Errors if it is not known, not there, or computes wrongly.
pub fn compute() -> Result<Compute, CommandError> {
    if let Some(compute) = COMPUTE.get() {
        return Ok(compute.clone());
    }
    let usual = ComputingChoice::default();
    let choice = ComputingChoice {
        device: CHOICE
            .get()
            .and_then(|choice| choice.device.clone())
            .unwrap_or(usual.device),
        compute_type: compute_type(),
        matrix_bits: None,
    };
    let compute = Compute::processor();
    choice.apply(&compute)?;
    Ok(COMPUTE.get_or_init(|| compute).clone())
}

/// Where things are, and where networks compute.
///
/// - `pack`: name or folder; the demo pack if none
///
/// Errors if the device cannot be used, or the application's files are not found.
pub fn options(pack: Option<String>) -> Result<Options, CommandError> {
    Ok(Options {
        compute: compute()?,
        ..Options::standard(pack)?
    })
}

/// Says on standard error that the device failed in the middle, if it did: the results are the processor's then.
pub fn report_failure() {
    let state = COMPUTE.get().map(Compute::state);
    if let Some(failure) = state.as_ref().and_then(|state| state.failure.as_ref()) {
        let name = state.as_ref().map_or("", |state| &state.name);
        eprintln!("{name} failed and the processor took over: {failure}");
    }
}
