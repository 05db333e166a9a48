//! A model on the device in use, and on the processor once that device has failed.

use std::fmt::Display;
use std::sync::{Arc, PoisonError, RwLock};

use super::{Compute, ComputeState, Place};

type Load<M, E> = Box<dyn Fn(&Place) -> Result<M, E> + Send + Sync>;

/// A model on the device in use, which goes on on the processor when that device fails in the middle of something, and moves when
/// another device is chosen.
///
/// Whatever goes wrong on another device is tried once more on the processor. If it goes well there, the device was at fault: it is
/// given up for all who share the [`Compute`], and the result stands. If it goes wrong there too, the input was, and the device
/// stays.
pub struct Hosted<M, E> {
    compute: Compute,
    load: Load<M, E>,
    loaded: RwLock<Loaded<M>>,
}

struct Loaded<M> {
    model: Arc<M>,
    /// The choice that it was loaded for.
    state: Arc<ComputeState>,
}

impl<M> Clone for Loaded<M> {
    fn clone(&self) -> Self {
        Self {
            model: self.model.clone(),
            state: self.state.clone(),
        }
    }
}

impl<M, E: Display> Hosted<M, E> {
    /// Loads a model where `compute` says; on the processor if it cannot be loaded there.
    ///
    /// Errors as `load` does on the processor.
    pub fn load(
        compute: &Compute,
        load: impl Fn(&Place) -> Result<M, E> + Send + Sync + 'static,
    ) -> Result<Self, E> {
        Ok(Self {
            loaded: RwLock::new(placed(compute, &load)?),
            compute: compute.clone(),
            load: Box::new(load),
        })
    }

    /// The model where it belongs now.
    fn here(&self) -> Result<Loaded<M>, E> {
        let now = self.compute.state();
        let mut loaded = self.loaded();
        if Arc::ptr_eq(&now, &loaded.state) {
            return Ok(loaded);
        }
        match now.place.is_processor() && loaded.state.place.is_processor() {
            true => loaded.state = now,
            false => loaded = placed(&self.compute, &self.load)?,
        }
        self.keep(&loaded);
        Ok(loaded)
    }

    fn loaded(&self) -> Loaded<M> {
        let loaded = self.loaded.read().unwrap_or_else(PoisonError::into_inner);
        loaded.clone()
    }

    fn keep(&self, loaded: &Loaded<M>) {
        *self.loaded.write().unwrap_or_else(PoisonError::into_inner) = loaded.clone();
    }

    /// The model, for what does not compute with it.
    pub fn model(&self) -> Arc<M> {
        self.loaded().model
    }

    /// Does work with the model, which must be repeatable: it is done again on the processor if the device fails.
    ///
    /// Errors as `work` does on the processor, or as loading does there.
    pub fn run<T>(&self, work: impl Fn(&M) -> Result<T, E>) -> Result<T, E> {
        let loaded = self.here()?;
        let error = match work(&loaded.model) {
            Err(error) if !loaded.state.place.is_processor() => error,
            result => return result,
        };
        let model = Arc::new((self.load)(&Place::processor())?);
        let result = work(&model)?; // if it fails here too, the device is not to blame
        self.compute.give_up(&loaded.state, &error.to_string());
        let state = self.compute.state();
        if state.place.is_processor() {
            self.keep(&Loaded { model, state });
        }
        Ok(result)
    }
}

/// A model on the device in use; if it does not fit there, on the processor, and the device is given up.
fn placed<M, E: Display>(
    compute: &Compute,
    load: &impl Fn(&Place) -> Result<M, E>,
) -> Result<Loaded<M>, E> {
    let state = compute.state();
    let error = match load(&state.place) {
        Ok(model) => {
            let model = Arc::new(model);
            return Ok(Loaded { model, state });
        }
        Err(error) if state.place.is_processor() => return Err(error),
        Err(error) => error,
    };
    let model = Arc::new(load(&Place::processor())?);
    compute.give_up(&state, &error.to_string());
    Ok(Loaded {
        model,
        state: compute.state(),
    })
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

    use super::*;
    use crate::DeviceChoice;

    /// A model that knows where it is, and fails elsewhere than on the processor once its calls are used up.
    struct Model {
        on_processor: bool,
        left: AtomicUsize,
    }

    fn hosted(compute: &Compute, calls: usize) -> Hosted<Model, String> {
        Hosted::load(compute, move |place| {
            Ok(Model {
                on_processor: place.is_processor(),
                left: AtomicUsize::new(calls),
            })
        })
        .unwrap()
    }

    fn work(model: &Model) -> Result<bool, String> {
        let use_up = |left: usize| left.checked_sub(1);
        if !model.on_processor && model.left.fetch_update(SeqCst, SeqCst, use_up).is_err() {
            return Err("out of memory".to_owned());
        }
        Ok(model.on_processor)
    }

    fn elsewhere() -> Compute {
        Compute::start(DeviceChoice::Reference, None).unwrap()
    }

    #[test]
    fn a_job_goes_on_on_the_processor_when_the_device_fails_in_the_middle() {
        let compute = elsewhere();
        let first = hosted(&compute, 2);
        let second = hosted(&compute, 100);
        let places: Vec<bool> = (0..4).map(|_| first.run(work).unwrap()).collect();
        assert_eq!(places, [false, false, true, true], "no call is lost");
        assert_eq!(compute.state().failure.as_deref(), Some("out of memory"));
        assert_eq!(
            second.run(work),
            Ok(true),
            "models beside it leave the device too"
        );
    }

    #[test]
    fn what_is_wrong_everywhere_is_an_error_and_costs_nobody_the_device() {
        let compute = elsewhere();
        let model = hosted(&compute, 100);
        let refused: Result<(), String> = model.run(|_| Err("an image of no pixels".into()));
        assert_eq!(refused, Err("an image of no pixels".into()));
        assert_eq!(compute.state().failure, None);
        assert_eq!(model.run(work), Ok(false));
    }

    #[test]
    fn a_model_moves_when_another_device_is_chosen() {
        let compute = Compute::processor();
        let model = hosted(&compute, 100);
        assert_eq!(model.run(work), Ok(true));
        compute.switch(DeviceChoice::Reference, None).unwrap();
        assert_eq!(model.run(work), Ok(false));
        compute.switch(DeviceChoice::Cpu, None).unwrap();
        assert_eq!(model.run(work), Ok(true));
    }

    #[test]
    fn a_model_that_does_not_fit_the_device_is_loaded_on_the_processor() {
        let compute = elsewhere();
        let model: Hosted<bool, String> =
            Hosted::load(&compute, |place| match place.is_processor() {
                true => Ok(true),
                false => Err("out of memory".into()),
            })
            .unwrap();
        assert!(*model.model());
        assert_eq!(compute.state().failure.as_deref(), Some("out of memory"));
    }

    #[test]
    fn an_error_of_the_processor_is_an_error() {
        let compute = Compute::processor();
        let none: Result<Hosted<(), String>, String> =
            Hosted::load(&compute, |_| Err("no such file".into()));
        assert_eq!(none.err(), Some("no such file".to_owned()));
    }
}
