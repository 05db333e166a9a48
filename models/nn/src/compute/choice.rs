//! Names of devices as people give them.

use std::fmt;
use std::str::FromStr;

/// Which device networks are to compute on.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum DeviceChoice {
    /// The fastest that gives right results.
    #[default]
    Auto,
    /// The processor.
    Cpu,
    /// An NVIDIA device by number.
    Cuda(usize),
    /// An Apple device by number.
    Metal(usize),
    /// The processor in f64 and without fused kernels: slow, to hold other devices against.
    Reference,
}

impl fmt::Display for DeviceChoice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Auto => f.write_str("auto"),
            Self::Cpu => f.write_str("cpu"),
            Self::Cuda(number) => write!(f, "cuda:{number}"),
            Self::Metal(number) => write!(f, "metal:{number}"),
            Self::Reference => f.write_str("reference"),
        }
    }
}

impl FromStr for DeviceChoice {
    type Err = String;

    /// `auto`, `cpu`, `reference`, `cuda`, `cuda:1`, `metal`, `metal:1`; a device without a number is the first.
    fn from_str(text: &str) -> Result<Self, String> {
        let unknown = || {
            format!("`{text}` is no device; there are auto, cpu, cuda[:N], metal[:N] and reference")
        };
        let (kind, number) = text.split_once(':').unwrap_or((text, "0"));
        let number: usize = number.parse().map_err(|_| unknown())?;
        match (kind, text.contains(':')) {
            ("auto", false) => Ok(Self::Auto),
            ("cpu", false) => Ok(Self::Cpu),
            ("reference", false) => Ok(Self::Reference),
            ("cuda", _) => Ok(Self::Cuda(number)),
            ("metal", _) => Ok(Self::Metal(number)),
            _ => Err(unknown()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_read_as_it_is_written() {
        use DeviceChoice::{Auto, Cpu, Cuda, Metal, Reference};
        for choice in [Auto, Cpu, Reference, Cuda(0), Cuda(3), Metal(1)] {
            assert_eq!(choice.to_string().parse(), Ok(choice));
        }
        assert_eq!("cuda".parse(), Ok(Cuda(0)));
        for wrong in ["", "gpu", "cuda:", "cuda:x", "cpu:1", "auto:0"] {
            let error = wrong.parse::<DeviceChoice>().unwrap_err();
            assert!(error.contains("is no device"), "{error}");
        }
    }
}
