//! Where networks compute: on the processor, or on an accelerator that has passed a test on this machine.
//!
//! Networks are placed, not tensors: a model takes tensors of the processor and gives such tensors back, whatever device its own are
//! on. What follows a tower (heads, losses, ranking, calibration) stays on the processor, so that it is the same code with the same
//! results everywhere.

mod choice;
mod devices;
mod hosted;
mod self_test;

use std::sync::{Arc, PoisonError, RwLock};

use candle_core::Device;

use crate::{NnError, Precision, Result};
pub use choice::DeviceChoice;
pub use hosted::Hosted;
pub use self_test::SelfTest;

/// A device and the type of numbers in which layers compute on it.
#[derive(Debug, Clone)]
pub struct Place {
    /// Where tensors are.
    pub device: Device,
    /// What they are made of.
    pub precision: Precision,
}

impl Place {
    /// The processor in f32, where the fused kernels run.
    pub fn processor() -> Self {
        Self {
            device: Device::Cpu,
            precision: Precision::F32,
        }
    }

    /// Whether this is [`Place::processor`].
    pub fn is_processor(&self) -> bool {
        self.device.is_cpu() && self.precision.is_f32()
    }
}

/// Where networks compute; clones share it.
///
/// The device can be changed while models are in use, and an accelerator that fails is left for the processor: models that are
/// [`Hosted`] follow.
#[derive(Debug, Clone)]
pub struct Compute(Arc<RwLock<Arc<ComputeState>>>);

/// The device in use, how it did, and what else there was.
#[derive(Debug, Clone)]
pub struct ComputeState {
    /// Where networks are put.
    pub place: Place,
    /// The device that was chosen, which a failure does not change.
    pub choice: DeviceChoice,
    /// Its name, for people.
    pub name: String,
    /// How it did in its test; none for the processor, which the test compares with.
    pub self_test: Option<SelfTest>,
    /// Devices that this build knows and that were not taken.
    pub passed_over: Vec<PassedOver>,
    /// Why the processor does the work of the device that was chosen, if it does.
    pub failure: Option<String>,
}

/// A device that could have been used, and why it is not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PassedOver {
    /// Which one.
    pub device: DeviceChoice,
    /// Why not.
    pub reason: String,
}

impl ComputeState {
    fn on_processor(passed_over: Vec<PassedOver>) -> Self {
        Self {
            place: Place::processor(),
            choice: DeviceChoice::Cpu,
            name: devices::processor_name(),
            self_test: None,
            passed_over,
            failure: None,
        }
    }

    fn automatic(precision: Option<Precision>) -> Self {
        let mut passed_over = Vec::new();
        for device in devices::accelerators() {
            let reason = match Self::tested(device, precision) {
                Ok(state) => match state.slower() {
                    None => return state,
                    Some(reason) => reason,
                },
                Err(NnError::Device { reason, .. }) => reason,
                Err(error) => error.to_string(),
            };
            passed_over.push(PassedOver { device, reason });
        }
        Self::on_processor(passed_over)
    }

    fn tested(choice: DeviceChoice, precision: Option<Precision>) -> Result<Self> {
        let wrong = |reason: String| NnError::Device {
            device: choice,
            reason,
        };
        let place = devices::open(choice, precision)?;
        let test = SelfTest::run(&place).map_err(|e| wrong(format!("its test failed: {e}")))?;
        if !test.passes() {
            return Err(wrong(format!(
                "its results differ from the processor's by {:.1e}, at most {:.1e} is allowed",
                test.error, test.tolerance
            )));
        }
        Ok(Self {
            name: devices::name(&place, choice),
            place,
            choice,
            self_test: Some(test),
            passed_over: Vec::new(),
            failure: None,
        })
    }

    /// Why the processor is the better choice, if it is.
    fn slower(&self) -> Option<String> {
        let test = self.self_test.as_ref()?;
        (test.device_ms >= test.processor_ms).then(|| {
            format!(
                "it is slower than the processor: {:.1} ms against {:.1} ms",
                test.device_ms, test.processor_ms
            )
        })
    }
}

impl Default for Compute {
    fn default() -> Self {
        Self::processor()
    }
}

impl Compute {
    /// The processor.
    pub fn processor() -> Self {
        let state = ComputeState::on_processor(Vec::new());
        Self(Arc::new(RwLock::new(Arc::new(state))))
    }

    /// Opens a device and tests it; see [`Compute::switch`].
    pub fn start(choice: DeviceChoice, precision: Option<Precision>) -> Result<Self> {
        let compute = Self::processor();
        compute.switch(choice, precision)?;
        Ok(compute)
    }

    /// Opens a device, tests it, and has all who share this compute on it from now on.
    ///
    /// [`DeviceChoice::Auto`] tries the accelerators that this build knows and takes the first that gives the processor's results in
    /// less time; the processor else. Any other choice is taken at its word as long as its results are right.
    ///
    /// - `precision`: type of numbers on an accelerator; f32 if none is named. The processor computes in f32, the reference in f64.
    ///
    /// Errors with [`NnError::Device`] if the device that was named is not there, is not in this build, or computes wrongly; what was in
    /// use stays.
    pub fn switch(&self, choice: DeviceChoice, precision: Option<Precision>) -> Result<()> {
        let state = match choice {
            DeviceChoice::Cpu => ComputeState::on_processor(Vec::new()),
            DeviceChoice::Auto => ComputeState::automatic(precision),
            named => ComputeState::tested(named, precision)?,
        };
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(state);
        Ok(())
    }

    /// As [`Compute::switch`], but with the processor where the device cannot be used; [`ComputeState::passed_over`] then says why.
    pub fn switch_or_processor(&self, choice: DeviceChoice, precision: Option<Precision>) {
        if let Err(error) = self.switch(choice, precision) {
            self.pass_over(choice, &error.to_string());
        }
    }

    fn pass_over(&self, device: DeviceChoice, reason: &str) {
        let reason = reason.to_owned();
        let state = ComputeState::on_processor(vec![PassedOver { device, reason }]);
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(state);
    }

    /// The device in use, as it is now.
    pub fn state(&self) -> Arc<ComputeState> {
        self.0
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Where to put a network now.
    pub fn place(&self) -> Place {
        self.state().place.clone()
    }

    /// Whether networks are now anywhere but on the processor with its fused kernels.
    pub fn is_elsewhere(&self) -> bool {
        !self.place().is_processor()
    }

    /// Puts the processor in the place of a device that failed, unless another one has been chosen meanwhile.
    ///
    /// - `failed`: the state that the failure was seen in
    pub fn give_up(&self, failed: &Arc<ComputeState>, reason: &str) {
        let mut state = self.0.write().unwrap_or_else(PoisonError::into_inner);
        if Arc::ptr_eq(&state, failed) && !failed.place.is_processor() {
            *state = Arc::new(ComputeState {
                place: Place::processor(),
                failure: Some(reason.to_owned()),
                ..ComputeState::clone(failed)
            });
        }
    }

    /// Name of the processor, for people.
    pub fn processor_name() -> String {
        devices::processor_name()
    }

    /// Every device that this build can use, whether or not this machine has it: the processor first.
    pub fn known() -> Vec<DeviceChoice> {
        let mut all = vec![DeviceChoice::Cpu];
        all.extend(devices::accelerators());
        all.push(DeviceChoice::Reference);
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reference() -> Compute {
        Compute::start(DeviceChoice::Reference, None).unwrap()
    }

    #[test]
    fn the_reference_agrees_with_the_fused_kernels_and_is_no_processor() {
        let compute = reference();
        assert!(compute.is_elsewhere());
        let state = compute.state();
        assert_eq!(state.place.precision, Precision::F64);
        let test = state.self_test.as_ref().unwrap();
        assert!(test.passes() && test.error > 0.0, "{test:?}");
        assert!(test.device_ms > 0.0 && test.processor_ms > 0.0);
    }

    #[test]
    fn a_device_that_is_given_up_leaves_the_processor_to_all_that_share_the_choice() {
        let compute = reference();
        let (shared, failed) = (compute.clone(), compute.state());
        compute.give_up(&failed, "out of memory");
        compute.give_up(&failed, "something later");
        let state = shared.state();
        assert!(state.place.is_processor());
        assert_eq!(state.failure.as_deref(), Some("out of memory"));
        assert_eq!(
            state.choice,
            DeviceChoice::Reference,
            "people see what failed"
        );
    }

    #[test]
    fn a_late_failure_does_not_undo_another_choice() {
        let compute = reference();
        let before = compute.state();
        compute.switch(DeviceChoice::Reference, None).unwrap();
        compute.give_up(&before, "out of memory");
        assert!(compute.is_elsewhere() && compute.state().failure.is_none());
    }

    #[test]
    fn the_processor_cannot_be_given_up() {
        let compute = Compute::processor();
        compute.give_up(&compute.state(), "no reason");
        assert_eq!(compute.state().failure, None);
    }

    #[test]
    fn automatic_always_ends_with_a_device_and_says_what_it_passed_over() {
        let compute = Compute::start(DeviceChoice::Auto, None).unwrap();
        let state = compute.state();
        if state.place.is_processor() {
            assert_eq!(state.passed_over.len(), devices::accelerators().len());
        }
    }

    #[cfg(not(feature = "cuda"))]
    #[test]
    fn a_device_that_this_build_lacks_is_refused_by_name_and_nothing_changes() {
        let compute = reference();
        let error = compute.switch(DeviceChoice::Cuda(0), None).unwrap_err();
        let text = error.to_string();
        assert!(
            text.contains("cuda:0") && text.contains("--features cuda"),
            "{text}"
        );
        assert_eq!(compute.state().choice, DeviceChoice::Reference);
        compute.switch_or_processor(DeviceChoice::Cuda(0), None);
        let state = compute.state();
        assert!(state.place.is_processor() && state.passed_over.len() == 1);
    }
}
