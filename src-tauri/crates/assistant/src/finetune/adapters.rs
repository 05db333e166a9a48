//! Adapters that are there: list, put into use, take back, remove.

use std::fs;
use std::path::Path;

use lucency_packs::Pack;
use lucency_train::finetune::{Adapter, BasePack, Method, adapter_folder, is_adapter_name};

use super::active::InUse;
use super::judge::Details;
use super::refuse;
use super::train_report::TrainReport;
use crate::dto::AdapterSummary;
use crate::error::{AssistantError, Result};
use crate::ledger;
use crate::{DEFAULT_PACK, Options, picture};

/// Why an adapter that came without a report may not go live.
const NO_REPORT: &str = "it has no report: nobody judged it here; “Evaluate on this site’s cases…” in the panel Training, or \
                         `lucency eval finetune --attach`, does and keeps the verdict with it";

/// What was found when an adapter was trained, and the plots beside it.
pub(super) const REPORT: [&str; 2] = ["report.json", "details.json"];
/// What was found later, on cases of this site, for an adapter that had no verdict.
pub(super) const VERDICT: [&str; 2] = ["verdict.json", "verdict-details.json"];
/// Who was calibrated on and who was judged then.
pub(super) const VERDICT_CASES: &str = "verdict-cases.json";

pub(super) fn io(what: &str) -> impl FnOnce(std::io::Error) -> AssistantError + use<'_> {
    move |source| AssistantError::Io {
        what: what.to_owned(),
        source,
    }
}

pub(super) fn read(options: &Options, name: &str) -> Result<Adapter> {
    let dir = adapter_folder(&options.home, name)?;
    Adapter::read(&dir).map_err(|error| match dir.exists() {
        true => error.into(),
        false => refuse(
            "no_adapter",
            format!("there is no adapter `{name}`; `lucency adapters list` shows which there are"),
        ),
    })
}

pub(super) fn part<T: serde::de::DeserializeOwned>(adapter: &Adapter, file: &str) -> Result<T> {
    let name = &adapter.manifest.name;
    let text = fs::read_to_string(adapter.dir.join(file))
        .map_err(|_| refuse("bad_adapter", format!("the adapter `{name}` has no {file}")))?;
    serde_json::from_str(&text).map_err(|e| {
        refuse(
            "bad_adapter",
            format!("{file} of the adapter `{name}`: {e}"),
        )
    })
}

/// The adapter's report: a later verdict if there is one, else what was found when it was trained.
pub(super) fn report_of(adapter: &Adapter) -> Result<TrainReport> {
    part(adapter, report_files(adapter)[0])
}

/// The plots of [`report_of`].
pub(super) fn details_of(adapter: &Adapter) -> Result<Details> {
    part(adapter, report_files(adapter)[1])
}

/// A verdict counts from when the manifest names it.
fn report_files(adapter: &Adapter) -> [&'static str; 2] {
    match adapter.manifest.files.contains_key(VERDICT[0]) {
        true => VERDICT,
        false => REPORT,
    }
}

/// Hashes of the packs that are there.
fn hashes(options: &Options) -> Result<Vec<String>> {
    let entries = options.store().list()?;
    let hash = |entry: lucency_packs::PackEntry| entry.manifest.ok().map(|(_, hash)| hash);
    Ok(entries.into_iter().filter_map(hash).collect())
}

fn summary(adapter: &Adapter, hashes: &[String], in_use: &InUse) -> AdapterSummary {
    let manifest = &adapter.manifest;
    let report = report_of(adapter).ok();
    let evaluation = report.as_ref().and_then(|r| r.evaluation.as_ref());
    let retrieval = report.as_ref().and_then(|r| r.retrieval.as_ref());
    let (value, base_value) = match (evaluation, retrieval) {
        (Some(e), _) => (e.adapted.overall.auroc, e.base.overall.auroc),
        (None, Some(r)) => (Some(r.recall_at_5), Some(r.base_recall_at_5)),
        (None, None) => (None, None),
    };
    let gate = report.as_ref().map(|r| r.gate.clone());
    let none = || vec![NO_REPORT.to_owned()];
    AdapterSummary {
        name: manifest.name.clone(),
        method: manifest.method.into(),
        pack: manifest.base.name.clone(),
        pack_hash: manifest.base.hash.clone(),
        fits: hashes.contains(&manifest.base.hash),
        active: in_use.on(&manifest.base.hash) == Some(&manifest.name),
        created: manifest.created.clone(),
        notes: manifest.notes.clone(),
        classes: manifest.classes.clone(),
        cases: manifest.cases,
        patients: manifest.patients,
        judged: evaluation.is_some() || retrieval.is_some(),
        metric: match manifest.method {
            Method::Contrastive => "recall@5",
            _ => "auroc",
        }
        .into(),
        value,
        base_value,
        passes: gate.as_ref().is_some_and(|g| g.passes),
        warnings: gate.as_ref().map_or_else(Vec::new, |g| g.warnings.clone()),
        reasons: gate.map_or_else(none, |g| g.reasons),
        bytes: size_of(&adapter.dir),
    }
}

fn size_of(dir: &Path) -> u64 {
    let entries = fs::read_dir(dir).into_iter().flatten().flatten();
    entries
        .filter_map(|entry| entry.metadata().ok())
        .map(|meta| meta.len())
        .sum()
}

pub(super) fn summary_now(options: &Options, adapter: &Adapter) -> Result<AdapterSummary> {
    let in_use = InUse::read(&options.home)?;
    Ok(summary(adapter, &hashes(options)?, &in_use))
}

/// All adapters, newest first; folders that are no adapters are left out.
pub fn adapters(options: &Options) -> Result<Vec<AdapterSummary>> {
    let Ok(entries) = fs::read_dir(options.home.join("adapters")) else {
        return Ok(Vec::new());
    };
    let (hashes, in_use) = (hashes(options)?, InUse::read(&options.home)?);
    let mut found: Vec<AdapterSummary> = entries
        .flatten()
        .filter(|entry| is_adapter_name(&entry.file_name().to_string_lossy()))
        .filter_map(|entry| Adapter::read(&entry.path()).ok())
        .map(|adapter| summary(&adapter, &hashes, &in_use))
        .collect();
    found.sort_by(|a, b| (&b.created, &a.name).cmp(&(&a.created, &b.name)));
    Ok(found)
}

/// Opens the pack that an adapter stands on, and checks that it is still that pack.
pub(super) fn fitting(options: &Options, adapter: &Adapter) -> Result<Pack> {
    let base = &adapter.manifest.base;
    let pack = options.store().find(&base.name)?;
    let identity = BasePack {
        name: pack.name().to_owned(),
        hash: pack.hash().to_owned(),
    };
    Adapter::open(&adapter.dir, &identity)?;
    Ok(pack)
}

/// Puts an adapter into use on its pack.
///
/// Errors with `gate_refused` and the reasons if its report does not let it, and if it is damaged or its pack has changed.
pub fn activate(options: &Options, name: &str) -> Result<AdapterSummary> {
    let adapter = read(options, name)?;
    fitting(options, &adapter)?;
    adapter.verify()?;
    let report = report_of(&adapter);
    if report.is_err()
        && !adapter
            .manifest
            .files
            .contains_key(report_files(&adapter)[0])
    {
        let message = format!("the adapter `{name}` may not go live: {NO_REPORT}");
        return Err(refuse("gate_refused", message));
    }
    let report = report?;
    if !report.gate.passes {
        return Err(refuse(
            "gate_refused",
            format!(
                "the adapter `{name}` may not go live: {}",
                report.gate.reasons.join("; ")
            ),
        ));
    }
    let mut in_use = InUse::read(&options.home)?;
    let list = in_use
        .packs
        .entry(adapter.manifest.base.hash.clone())
        .or_default();
    list.retain(|other| other != name);
    list.push(name.to_owned());
    in_use.write(&options.home)?;
    summary_now(options, &adapter)
}

/// Takes the adapter in use on a pack back: the one before it, or the pack alone, works again.
///
/// - `pack`: none for the default one
/// - returns the adapter that works now
///
/// Errors if none was in use.
pub fn rollback(options: &Options, pack: Option<&str>) -> Result<Option<AdapterSummary>> {
    let pack = options.store().find(pack.unwrap_or(DEFAULT_PACK))?;
    let mut in_use = InUse::read(&options.home)?;
    let list = in_use.packs.entry(pack.hash().to_owned()).or_default();
    if list.pop().is_none() {
        let message = format!("no adapter is in use on the pack `{}`", pack.name());
        return Err(refuse("no_active_adapter", message));
    }
    // One that was removed meanwhile is no way back.
    while let Some(before) = list.last() {
        if read(options, before).is_ok() {
            break;
        }
        list.pop();
    }
    in_use.packs.retain(|_, list| !list.is_empty());
    in_use.write(&options.home)?;
    match in_use.on(pack.hash()) {
        None => Ok(None),
        Some(name) => summary_now(options, &read(options, name)?).map(Some),
    }
}

/// Deletes an adapter.
///
/// Errors with `adapter_active` while it is in use.
pub fn remove_adapter(options: &Options, name: &str) -> Result<()> {
    let adapter = match read(options, name) {
        Ok(adapter) => adapter,
        // Somebody removed the folder by hand: the library's record still names it.
        Err(error) => {
            let gone = !adapter_folder(&options.home, name)?.exists();
            return match gone && ledger::forget_adapter(&options.home, name)? {
                true => Ok(()),
                false => Err(error),
            };
        }
    };
    if InUse::read(&options.home)?.uses(name) {
        return Err(refuse(
            "adapter_active",
            format!("the adapter `{name}` is in use; roll back first"),
        ));
    }
    // Under a name that is no adapter's it is gone at once, even if deleting is interrupted.
    let gone = options.home.join("adapters").join(format!(".{name}.gone"));
    let _ = fs::remove_dir_all(&gone);
    fs::rename(&adapter.dir, &gone).map_err(io("the adapter's folder"))?;
    fs::remove_dir_all(&gone).map_err(io("the adapter's folder"))?;
    ledger::forget_adapter(&options.home, name).map(|_| ())
}

/// The image of one of an adapter's worst errors, a PNG file.
///
/// Errors if there is no such error, or its image is gone.
pub fn adapter_image(options: &Options, name: &str, index: usize) -> Result<Vec<u8>> {
    let details = details_of(&read(options, name)?)?;
    let worst = details.worst.get(index);
    let none = || refuse("no_case", format!("there is no worst case {index}"));
    let image = picture::open(Path::new(&worst.ok_or_else(none)?.path), 1)?.image;
    let shown = lucency_study::display::Image {
        width: image.width as u32,
        height: image.height as u32,
        channels: image.channels as u8,
        data: image.data,
    };
    Ok(shown.to_png()?)
}
