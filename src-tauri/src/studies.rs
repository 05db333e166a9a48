//! The studies that are open in the window.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use lucency_assistant::dto::StudyDto;
use lucency_study::{Frame, FrameRef, Series, Source, Study};

use crate::error::{Reply, error, of_study};
use crate::frames::FrameCache;
use crate::present;

/// Open studies by number, and their decoded frames.
#[derive(Default)]
pub struct Studies {
    open: Mutex<Open>,
    frames: FrameCache,
}

#[derive(Default)]
struct Open {
    studies: BTreeMap<u64, Arc<Study>>,
    last: u64,
}

/// A series of an open study; it stays readable after the study is closed.
#[derive(Clone)]
pub struct SeriesHandle {
    id: String,
    study: Arc<Study>,
    series: usize,
}

impl Studies {
    fn open(&self) -> MutexGuard<'_, Open> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a study in, and returns it in the window's words; one that is open already keeps its identifier.
    pub fn add(&self, study: Study) -> StudyDto {
        let mut open = self.open();
        if let Some((number, same)) = open.studies.iter().find(|(_, s)| ***s == study) {
            return present::study(&number.to_string(), same);
        }
        open.last += 1;
        let number = open.last;
        let dto = present::study(&number.to_string(), &study);
        open.studies.insert(number, Arc::new(study));
        dto
    }

    /// Lets a study go, with everything that was decoded of it.
    pub fn close(&self, id: &str) {
        if let Ok(number) = id.parse() {
            self.open().studies.remove(&number);
        }
        let prefix = format!("{id}.");
        self.frames.forget(|series| series.starts_with(&prefix));
    }

    /// Lets everything go.
    pub fn close_all(&self) {
        self.open().studies.clear();
        self.frames.forget(|_| true);
    }

    /// The series with an identifier that [`Self::add`] gave.
    ///
    /// Errors with `no_such_series` if its study is closed.
    pub fn series(&self, id: &str) -> Reply<SeriesHandle> {
        let find = || {
            let (number, series) = id.split_once('.')?;
            let study = self.open().studies.get(&number.parse().ok()?)?.clone();
            let series: usize = series.parse().ok()?;
            (series < study.series.len()).then_some((study, series))
        };
        let (study, series) =
            find().ok_or_else(|| error("no_such_series", "this series is not open any more"))?;
        Ok(SeriesHandle {
            id: id.to_owned(),
            study,
            series,
        })
    }

    /// A decoded frame, from memory if it was decoded lately.
    ///
    /// Errors with `no_such_frame` if the series is shorter, or as decoding does.
    pub fn frame(&self, handle: &SeriesHandle, index: usize) -> Reply<Arc<Frame>> {
        let key = (handle.id.clone(), index);
        if let Some(frame) = self.frames.get(&key) {
            return Ok(frame);
        }
        let place = handle.place(index)?;
        let instance = &handle.series().instances[place.instance];
        let frame = lucency_study::decode(instance, place.frame).map_err(|e| of_study(&e))?;
        let frame = Arc::new(frame);
        self.frames.put(key, frame.clone());
        Ok(frame)
    }
}

impl SeriesHandle {
    /// The series itself.
    pub fn series(&self) -> &Series {
        &self.study.series[self.series]
    }

    /// The department's identifier of the patient, if the study states one.
    pub fn patient_id(&self) -> Option<&str> {
        self.study.patient.id.as_deref()
    }

    /// The file that holds a frame; none for a member of an archive.
    ///
    /// Errors with `no_such_frame` if the series is shorter.
    pub fn file(&self, index: usize) -> Reply<Option<PathBuf>> {
        let instance = &self.series().instances[self.place(index)?.instance];
        Ok(match &instance.source {
            Source::File(path) => Some(path.clone()),
            Source::ZipMember { .. } => None,
        })
    }

    /// Where the frame with this flat index lies.
    ///
    /// Errors with `no_such_frame` if the series is shorter.
    pub fn place(&self, index: usize) -> Reply<FrameRef> {
        let frames = &self.series().frames;
        frames.get(index).copied().ok_or_else(|| {
            error(
                "no_such_frame",
                format!("the series has {} frames", frames.len()),
            )
        })
    }
}
