//! `lucency devices`: what networks can compute on here, and how well.

use clap::Args;
use lucency_assistant::devices;
use lucency_assistant::dto::DeviceDto;

use crate::computing::compute_type;
use crate::output::{CommandError, Output};

/// `lucency devices`
#[derive(Args)]
pub struct Devices {}

impl Devices {
    /// Tests every device that this build knows.
    pub fn run(&self, output: Output) -> Result<(), CommandError> {
        output.print(&devices(compute_type()), |all| {
            let lines: Vec<String> = all.iter().map(line).collect();
            lines.join("\n")
        })
    }
}

fn line(device: &DeviceDto) -> String {
    let mark = if device.automatic { '*' } else { ' ' };
    let about = match (&device.state, &device.reason) {
        (Some(state), _) => match &state.self_test {
            Some(test) => format!(
                "{}, {}: {:.1} ms beside {:.1} ms of the processor, differs by {:.1e} (at most {:.0e})",
                state.name,
                state.numbers,
                test.device_ms,
                test.processor_ms,
                test.error,
                test.tolerance
            ),
            None => format!("{}, {}", state.name, state.numbers),
        },
        (None, reason) => reason.clone().unwrap_or_default(),
    };
    format!("{mark} {:<10} {about}", device.device)
}
