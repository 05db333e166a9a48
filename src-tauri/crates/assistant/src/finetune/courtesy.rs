//! How a run keeps out of a reader's way: low priority, few cores, rests.

use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use lucency_nn::Interrupt;

/// How often a resting run looks whether it may go on.
const LOOK_EVERY: Duration = Duration::from_millis(50);
/// How long the answer about the mains is believed.
const BELIEVE: Duration = Duration::from_secs(10);
/// Where Linux describes power supplies.
const SUPPLIES: &str = "/sys/class/power_supply";

/// When a run has to rest; shared between the run and the window.
#[derive(Debug, Default)]
pub struct Courtesy {
    state: Mutex<State>,
    mains_only: bool,
}

#[derive(Debug, Default)]
struct State {
    busy_until: Option<Instant>,
    battery: Option<(Instant, bool)>,
}

impl Courtesy {
    /// A run that rests on battery too.
    pub fn on_mains_only() -> Self {
        Self {
            mains_only: true,
            ..Self::default()
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The reader needs the machine for a while.
    pub fn busy(&self, how_long: Duration) {
        let until = Instant::now() + how_long;
        let mut state = self.state();
        state.busy_until = Some(state.busy_until.map_or(until, |before| before.max(until)));
    }

    /// Why a run has to rest now, if it has to.
    pub fn reason(&self) -> Option<&'static str> {
        let mut state = self.state();
        let now = Instant::now();
        if state.busy_until.is_some_and(|until| now < until) {
            return Some("resting while the viewer is busy");
        }
        if !self.mains_only {
            return None;
        }
        let battery = match state.battery {
            Some((asked, answer)) if now - asked < BELIEVE => answer,
            _ => runs_on_battery(Path::new(SUPPLIES)),
        };
        state.battery = Some((now, battery));
        battery.then_some("resting on battery")
    }

    /// Rests as long as there is a reason; `tell` hears it once. Returns early if stopped.
    pub(super) fn wait(&self, stop: &Interrupt, mut tell: impl FnMut(&'static str)) {
        let mut told = None;
        while let Some(reason) = self.reason() {
            if stop.is_stopped() {
                return;
            }
            if told != Some(reason) {
                told = Some(reason);
                tell(reason);
            }
            std::thread::sleep(LOOK_EVERY);
        }
    }
}

/// Whether a battery is being emptied and no mains supply is there; false where the system says nothing.
fn runs_on_battery(supplies: &Path) -> bool {
    let Ok(entries) = std::fs::read_dir(supplies) else {
        return false;
    };
    let (mut emptied, mut mains) = (false, false);
    for folder in entries.flatten().map(|entry| entry.path()) {
        let read = |name: &str| {
            let text = std::fs::read_to_string(folder.join(name));
            text.map(|t| t.trim().to_owned()).unwrap_or_default()
        };
        match &*read("type") {
            "Battery" => emptied |= read("status") == "Discharging",
            "Mains" | "USB" => mains |= read("online") == "1",
            _ => {}
        }
    }
    emptied && !mains
}

/// The threads of a run: half of the machine's unless the user says otherwise, at least one.
pub(super) fn threads(cores: Option<usize>) -> usize {
    let there = std::thread::available_parallelism().map_or(1, usize::from);
    cores.unwrap_or(there / 2).clamp(1, there)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_rests_while_the_viewer_is_busy_and_goes_on_afterwards() {
        let courtesy = Courtesy::default();
        assert_eq!(courtesy.reason(), None);
        courtesy.busy(Duration::from_millis(120));
        let (begun, mut told) = (Instant::now(), 0);
        courtesy.wait(&Interrupt::new(), |_| told += 1);
        assert!(begun.elapsed() >= Duration::from_millis(100));
        assert_eq!(told, 1);
        courtesy.busy(Duration::from_secs(60));
        let stop = Interrupt::new();
        stop.stop();
        courtesy.wait(&stop, |_| {});
    }

    #[test]
    fn a_discharging_battery_without_mains_is_battery() {
        let folder = tempfile::tempdir().unwrap();
        let write = |supply: &str, file: &str, text: &str| {
            let dir = folder.path().join(supply);
            std::fs::create_dir_all(&dir).unwrap();
            std::fs::write(dir.join(file), text).unwrap();
        };
        assert!(!runs_on_battery(folder.path()));
        write("BAT0", "type", "Battery\n");
        write("BAT0", "status", "Discharging\n");
        assert!(runs_on_battery(folder.path()));
        write("AC", "type", "Mains\n");
        write("AC", "online", "1\n");
        assert!(!runs_on_battery(folder.path()), "a weak charger is mains");
    }
}
