//! Opening devices, and what they are called.

use candle_core::Device;

use super::{DeviceChoice, Place};
use crate::kernels::instructions;
use crate::{NnError, Precision, Result};

/// Accelerators that this build can use, the first of each kind.
pub(super) fn accelerators() -> Vec<DeviceChoice> {
    let mut known = Vec::new();
    if cfg!(feature = "cuda") {
        known.push(DeviceChoice::Cuda(0));
    }
    if cfg!(feature = "metal") {
        known.push(DeviceChoice::Metal(0));
    }
    known
}

/// A device that was named, and the type of numbers on it.
///
/// Errors if it is not in this build or not in this machine.
pub(super) fn open(choice: DeviceChoice, precision: Option<Precision>) -> Result<Place> {
    let refuse = |reason: String| NnError::Device {
        device: choice,
        reason,
    };
    let found = |device: candle_core::Result<Device>| {
        device.map_err(|e| refuse(format!("it cannot be used: {e}")))
    };
    let missing = |feature: &str| {
        refuse(format!(
            "this program was built without it; build it with `--features {feature}`"
        ))
    };
    match choice {
        DeviceChoice::Auto | DeviceChoice::Cpu => Ok(Place::processor()),
        DeviceChoice::Reference => Ok(Place {
            device: Device::Cpu,
            precision: Precision::F64,
        }),
        DeviceChoice::Cuda(_) if cfg!(not(feature = "cuda")) => Err(missing("cuda")),
        DeviceChoice::Metal(_) if cfg!(not(feature = "metal")) => Err(missing("metal")),
        DeviceChoice::Cuda(number) => Ok(Place {
            device: found(Device::new_cuda(number))?,
            precision: precision.unwrap_or_default(),
        }),
        DeviceChoice::Metal(number) => Ok(Place {
            device: found(Device::new_metal(number))?,
            precision: precision.unwrap_or_default(),
        }),
    }
}

/// What a device is called.
pub(super) fn name(place: &Place, choice: DeviceChoice) -> String {
    match (choice, &place.device) {
        (DeviceChoice::Reference, _) => "Processor, reference".to_owned(),
        #[cfg(feature = "cuda")]
        (_, Device::Cuda(device)) => match device.cuda_stream().context().name() {
            Ok(name) => format!("{name} ({choice})"),
            Err(_) => choice.to_string(),
        },
        _ => choice.to_string(),
    }
}

/// What the processor is called: the instructions that the kernels use on it, and its threads.
pub(super) fn processor_name() -> String {
    format!(
        "Processor, {}, {} threads",
        instructions(),
        rayon::current_num_threads()
    )
}
