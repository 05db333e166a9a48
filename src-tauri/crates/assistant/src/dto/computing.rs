//! Where networks compute, as the window and `lucency devices` tell it.

use serde::{Deserialize, Serialize};
use ts_rs::TS;

/// Type of numbers in which layers compute on an accelerator.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(rename_all = "snake_case")]
#[ts(rename_all = "snake_case")]
pub enum ComputeType {
    /// 32-bit floats: the processor's results to four digits.
    F32,
    /// 16-bit floats of IEEE 754.
    F16,
    /// 16-bit floats with the range of 32 bits.
    Bf16,
}

/// Bits in which the processor keeps a network's frozen matrices.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(rename_all = "snake_case")]
#[ts(rename_all = "snake_case")]
pub enum MatrixBits {
    /// 8.5 bits a number.
    Q8,
    /// 4.5 bits a number.
    Q4,
}

/// Where networks are to compute; what a user chooses and what is kept from start to start.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(deny_unknown_fields, default)]
pub struct ComputingChoice {
    /// `auto`, `cpu`, `cuda:N`, `metal:N` or `reference`.
    pub device: String,
    /// Type of numbers on an accelerator; f32 if none.
    pub compute_type: Option<ComputeType>,
    /// Fewer bits on the processor; floats if none.
    pub matrix_bits: Option<MatrixBits>,
}

impl Default for ComputingChoice {
    fn default() -> Self {
        Self {
            device: "auto".to_owned(),
            compute_type: None,
            matrix_bits: None,
        }
    }
}

/// How a device did beside the processor.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, TS)]
pub struct SelfTestDto {
    /// Largest difference of a result or a gradient, relative to the largest value.
    pub error: f64,
    /// Largest difference that is allowed.
    pub tolerance: f64,
    /// A pass on the device, milliseconds.
    pub device_ms: f64,
    /// The same on the processor, milliseconds.
    pub processor_ms: f64,
}

/// A device that is not used.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, TS)]
pub struct DeviceRefused {
    /// `cuda:0` and the like.
    pub device: String,
    /// Why not.
    pub reason: String,
}

/// The device in use.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, TS)]
pub struct ComputingDto {
    /// `cpu`, `cuda:0` and the like; after a failure the device that failed.
    pub device: String,
    /// Its name, for people.
    pub name: String,
    /// `f32`, `f16`, `bf16` or `f64`.
    pub numbers: String,
    /// How it did in its test; none for the processor, which the test compares with.
    pub self_test: Option<SelfTestDto>,
    /// Why the processor does its work, if it does.
    pub failure: Option<String>,
    /// Devices that this build knows and that were not taken.
    pub passed_over: Vec<DeviceRefused>,
    /// The processor's name, for people.
    pub processor: String,
}

/// One device, tested.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, TS)]
pub struct DeviceDto {
    /// As `--device` takes it.
    pub device: String,
    /// How it is, if it can be used.
    pub state: Option<ComputingDto>,
    /// Why it cannot be used, if it cannot.
    pub reason: Option<String>,
    /// True for the one that `auto` takes.
    pub automatic: bool,
}

/// What the window needs to let a user choose.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, TS)]
pub struct ComputingOverview {
    /// What is used.
    pub now: ComputingDto,
    /// What was chosen.
    pub choice: ComputingChoice,
    /// Devices that this build knows, as [`ComputingChoice::device`] names them.
    pub known: Vec<String>,
}
