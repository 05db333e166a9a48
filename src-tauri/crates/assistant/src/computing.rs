//! Which device a user chose, kept from start to start, and how it does.

use std::io::Write;
use std::path::{Path, PathBuf};

use lucency_nn::{Compute, DeviceChoice, Precision, Progress, Quantisation, SelfTest};

use crate::Options;
use crate::dto::{
    ComputeType, ComputingChoice, ComputingDto, DeviceDto, DeviceRefused, MatrixBits, SelfTestDto,
};
use crate::error::{AssistantError, Result};

fn path(home: &Path) -> PathBuf {
    home.join("computing.json")
}

impl ComputeType {
    /// As the layers name it.
    pub fn precision(self) -> Precision {
        match self {
            Self::F32 => Precision::F32,
            Self::F16 => Precision::F16,
            Self::Bf16 => Precision::Bf16,
        }
    }
}

impl MatrixBits {
    /// As the layers name it.
    pub fn quantisation(self) -> Quantisation {
        match self {
            Self::Q8 => Quantisation::Q8,
            Self::Q4 => Quantisation::Q4,
        }
    }
}

impl ComputingChoice {
    /// What was kept; the usual choice if nothing was, or if it cannot be read.
    pub fn read(home: &Path) -> Self {
        let text = std::fs::read_to_string(path(home)).unwrap_or_default();
        serde_json::from_str(&text).unwrap_or_default()
    }

    /// Keeps the choice.
    ///
    /// Errors if the folder cannot be written to.
    pub fn write(&self, home: &Path) -> Result<()> {
        let io = |source| AssistantError::Io {
            what: "the choice of the device".into(),
            source,
        };
        std::fs::create_dir_all(home).map_err(io)?;
        let text = serde_json::to_vec_pretty(self).map_err(|e| io(e.into()))?;
        let mut file = tempfile::NamedTempFile::new_in(home).map_err(io)?;
        file.write_all(&text)
            .and_then(|()| file.as_file().sync_all())
            .map_err(io)?;
        file.persist(path(home)).map_err(|e| io(e.error))?;
        Ok(())
    }

    /// Opens and tests the device, and moves all who share `compute` onto it.
    ///
    /// Errors if it is not known, not there, or computes wrongly; what was in use stays.
    pub fn apply(&self, compute: &Compute) -> Result<()> {
        let device: DeviceChoice = self.device.parse().map_err(AssistantError::Device)?;
        let precision = self.compute_type.map(ComputeType::precision);
        Ok(compute.switch(device, precision)?)
    }
}

/// Applies the choice that was kept, as far as that can be done: with the processor where the device cannot be used, which
/// [`computing`] then says.
pub fn begin_computing(home: &Path, compute: &Compute) {
    let kept = ComputingChoice::read(home);
    let device = kept.device.parse().unwrap_or_default();
    compute.switch_or_processor(device, kept.compute_type.map(ComputeType::precision));
}

/// Does work that keeps its own state, such as training with checkpoints, on the device in use; if a tensor operation fails there, the
/// work goes on on the processor, and the device is given up.
///
/// - `work`: with options that name the processor when it is called again
///
/// Errors as the work does. Unlike [`lucency_nn::Hosted`], this does not repeat what failed for another reason than the device: hours of
/// training that diverged would diverge again.
pub(crate) fn long_work<T>(
    options: &Options,
    progress: &mut dyn FnMut(Progress),
    mut work: impl FnMut(&Options, &mut dyn FnMut(Progress)) -> Result<T>,
) -> Result<T> {
    let state = options.compute.state();
    let failed = match work(options, progress) {
        Err(error) if error.is_of_device() && !state.place.is_processor() => error,
        outcome => return outcome,
    };
    let on_processor = Options {
        compute: Compute::processor(),
        ..options.clone()
    };
    let message = "the device failed; going on on the processor";
    progress(Progress::new(message, 0, 0));
    let outcome = work(&on_processor, progress);
    if matches!(outcome, Ok(_) | Err(AssistantError::Stopped)) {
        options.compute.give_up(&state, &failed.to_string());
    }
    outcome
}

/// The device in use, for people.
pub fn computing(compute: &Compute) -> ComputingDto {
    let state = compute.state();
    ComputingDto {
        device: state.choice.to_string(),
        name: state.name.clone(),
        numbers: numbers(state.place.precision).to_owned(),
        self_test: state.self_test.as_ref().map(dto),
        failure: state.failure.clone(),
        passed_over: state
            .passed_over
            .iter()
            .map(|over| DeviceRefused {
                device: over.device.to_string(),
                reason: over.reason.clone(),
            })
            .collect(),
        processor: Compute::processor_name(),
    }
}

/// Every device that this build knows, as it is named.
pub fn known_devices() -> Vec<String> {
    Compute::known().iter().map(ToString::to_string).collect()
}

/// Opens and tests every device that this build knows.
///
/// - `compute_type`: numbers on an accelerator
pub fn devices(compute_type: Option<ComputeType>) -> Vec<DeviceDto> {
    let precision = compute_type.map(ComputeType::precision);
    let automatic = Compute::start(DeviceChoice::Auto, precision)
        .map_or(DeviceChoice::Cpu, |compute| compute.state().choice);
    let about = |choice: DeviceChoice| {
        let (state, reason) = match Compute::start(choice, precision) {
            Ok(compute) => (Some(computing(&compute)), None),
            Err(error) => (None, Some(error.to_string())),
        };
        DeviceDto {
            device: choice.to_string(),
            state,
            reason,
            automatic: choice == automatic,
        }
    };
    Compute::known().into_iter().map(about).collect()
}

fn numbers(precision: Precision) -> &'static str {
    match precision {
        Precision::F32 | Precision::Mixed => "f32",
        Precision::F16 => "f16",
        Precision::Bf16 => "bf16",
        Precision::F64 => "f64",
    }
}

fn dto(test: &SelfTest) -> SelfTestDto {
    SelfTestDto {
        error: test.error,
        tolerance: test.tolerance,
        device_ms: test.device_ms,
        processor_ms: test.processor_ms,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_choice_is_found_again_and_a_damaged_one_counts_as_none() {
        let home = tempfile::tempdir().unwrap();
        assert_eq!(
            ComputingChoice::read(home.path()),
            ComputingChoice::default()
        );
        let choice = ComputingChoice {
            device: "reference".into(),
            compute_type: Some(ComputeType::Bf16),
            matrix_bits: Some(MatrixBits::Q8),
        };
        choice.write(home.path()).unwrap();
        assert_eq!(ComputingChoice::read(home.path()), choice);
        std::fs::write(home.path().join("computing.json"), "{\"device\": 3").unwrap();
        assert_eq!(
            ComputingChoice::read(home.path()),
            ComputingChoice::default()
        );
    }

    fn out_of_memory() -> AssistantError {
        AssistantError::Tensor(candle_core::Error::Msg("out of memory".into()))
    }

    fn options(compute: &Compute) -> Options {
        Options {
            home: PathBuf::new(),
            assets: PathBuf::new(),
            pack: None,
            compute: compute.clone(),
            quantise: None,
        }
    }

    #[test]
    fn long_work_goes_on_on_the_processor_when_the_device_fails() {
        let compute = Compute::start(DeviceChoice::Reference, None).unwrap();
        let (mut places, mut steps, mut told) = (Vec::new(), 0, Vec::new());
        let mut progress = |progress: Progress| told.push(progress.stage);
        let outcome = long_work(&options(&compute), &mut progress, |options, _| {
            let elsewhere = options.compute.is_elsewhere();
            places.push(elsewhere);
            while steps < 10 {
                if steps == 4 && elsewhere {
                    return Err(out_of_memory());
                }
                steps += 1; // what a checkpoint keeps
            }
            Ok(steps)
        });
        assert_eq!(outcome.unwrap(), 10);
        assert_eq!(places, [true, false]);
        assert_eq!(told, ["the device failed; going on on the processor"]);
        let failure = compute.state().failure.clone();
        assert!(failure.unwrap().contains("out of memory"));
    }

    #[test]
    fn long_work_is_not_repeated_for_what_is_no_fault_of_the_device() {
        let compute = Compute::start(DeviceChoice::Reference, None).unwrap();
        for make in [
            || AssistantError::Stopped,
            || AssistantError::Data("a table without rows".into()),
        ] {
            let mut calls = 0;
            let outcome: Result<()> = long_work(&options(&compute), &mut |_| {}, |_, _| {
                calls += 1;
                Err(make())
            });
            assert!(outcome.is_err() && calls == 1);
        }
        // On the processor there is nothing to fall back to.
        let mut calls = 0;
        let outcome: Result<()> =
            long_work(&options(&Compute::processor()), &mut |_| {}, |_, _| {
                calls += 1;
                Err(out_of_memory())
            });
        assert!(outcome.is_err() && calls == 1);
        assert!(compute.state().failure.is_none(), "nothing was given up");
    }

    #[test]
    fn a_device_that_is_not_known_is_an_error_that_names_those_that_are() {
        let choice = ComputingChoice {
            device: "gpu".into(),
            ..ComputingChoice::default()
        };
        let error = choice.apply(&Compute::processor()).unwrap_err();
        assert_eq!(error.code(), "bad_device");
        assert!(error.to_string().contains("cuda"), "{error}");
    }

    #[test]
    fn every_device_is_listed_with_its_test_or_a_reason_and_one_is_automatic() {
        let all = devices(None);
        assert_eq!(all.iter().filter(|device| device.automatic).count(), 1);
        for device in &all {
            assert_ne!(device.state.is_some(), device.reason.is_some());
        }
        let reference = all.iter().find(|d| d.device == "reference").unwrap();
        let state = reference.state.as_ref().unwrap();
        assert_eq!(state.numbers, "f64");
        assert!(state.self_test.as_ref().unwrap().error < 2e-4);
    }
}
