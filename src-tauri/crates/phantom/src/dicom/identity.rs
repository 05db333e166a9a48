//! Who a phantom pretends to be.

use rand::Rng;
use serde::{Deserialize, Serialize};

use crate::random::{Purpose, mix, stream};
use crate::spec::{Region, Site, Spec, View};

/// Who and when, made up from the seed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    /// "Phantom^A0001".
    pub patient_name: String,
    /// "PHANTOM-A0001".
    pub patient_id: String,
    /// `YYYYMMDD`.
    pub birth_date: String,
    /// `YYYYMMDD`.
    pub study_date: String,
    /// `HHMMSS`.
    pub study_time: String,
    /// Under 2.25, the same for the same study.
    pub study_uid: String,
    /// Always says that the study is synthetic.
    pub description: String,
}

impl Identity {
    /// The identity of a study.
    pub fn of(spec: &Spec) -> Self {
        let rng = &mut stream(spec.seed, Purpose::Identity);
        let letter = match spec.site {
            Site::A => 'A',
            Site::B => 'B',
        };
        let year = rng.random_range(2019..=2025);
        let (month, day) = (rng.random_range(1..=12), rng.random_range(1..=28));
        let description = match (spec.region, spec.views.as_slice()) {
            (Region::Head, _) => "CT head without contrast",
            (_, [View::Ap]) => "Chest AP portable",
            (_, [View::Pa]) => "Chest PA",
            (_, [View::Lateral]) => "Chest lateral",
            _ => "Chest PA and lateral",
        };
        Self {
            patient_name: format!("Phantom^{letter}{:04}", spec.seed),
            patient_id: format!("PHANTOM-{letter}{:04}", spec.seed),
            birth_date: format!(
                "{:04}{:02}{:02}",
                year - spec.patient.age as i32 - 1,
                rng.random_range(1..=12),
                rng.random_range(1..=28)
            ),
            study_date: format!("{year:04}{month:02}{day:02}"),
            study_time: format!(
                "{:02}{:02}{:02}",
                rng.random_range(7..20),
                rng.random_range(0..60),
                rng.random_range(0..60)
            ),
            study_uid: uid(spec, 0, 0),
            description: format!("{description} (SYNTHETIC)"),
        }
    }
}

/// A UID under 2.25 (PS3.5 B.2) from the study and two numbers.
pub(super) fn uid(spec: &Spec, series: u64, instance: u64) -> String {
    let site = spec.site as u64;
    let views = spec
        .views
        .iter()
        .fold(0u64, |sum, &v| sum * 7 + v as u64 + 1);
    let truth = spec.lesions.iter().fold(0u64, |sum, l| {
        mix(sum ^ (l.finding as u64 + 1) ^ u64::from(l.size_mm.to_bits()))
    });
    let high = mix(spec.seed ^ mix(site + 2 * spec.region as u64) ^ truth);
    let low = mix(high ^ mix(series.wrapping_mul(0x10_0001) ^ instance ^ (views << 32)));
    // A version 8 UUID in decimal.
    let value = (u128::from(high) << 64 | u128::from(low)) & !(0xF << 76) & !(0x3 << 62)
        | 0x8 << 76
        | 0x2 << 62;
    format!("2.25.{value}")
}
