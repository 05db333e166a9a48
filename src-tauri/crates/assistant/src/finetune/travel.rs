//! Adapters that travel: out as a folder, and in from one.

use std::fs;
use std::path::Path;

use lucency_train::finetune::{Adapter, adapter_folder, is_adapter_name};

use super::adapters::{REPORT, VERDICT, fitting, io, part, read, summary_now};
use super::judge::Details;
use super::refuse;
use crate::Options;
use crate::dto::AdapterSummary;
use crate::error::Result;
use crate::ledger;

/// Writes an adapter as a folder that another workstation can import; file names of cases stay here.
///
/// Errors if something is at `to` already.
pub fn export_adapter(options: &Options, name: &str, to: &Path) -> Result<()> {
    let mut adapter = read(options, name)?;
    adapter.verify()?;
    let mut rewritten: Vec<(&str, String)> = Vec::new();
    for file in [REPORT[1], VERDICT[1]] {
        // An adapter that was judged here has details; every exported folder has the first of them.
        if file == VERDICT[1] && !adapter.manifest.files.contains_key(file) {
            continue;
        }
        let mut details: Details = part(&adapter, file).unwrap_or_default();
        details.worst.clear();
        let text =
            serde_json::to_string_pretty(&details).map_err(|e| refuse("json", e.to_string()))?;
        let digest = lucency_packs::digest(text.as_bytes());
        adapter.manifest.files.insert(file.into(), digest);
        rewritten.push((file, text));
    }
    let files = adapter.manifest.files.keys();
    let copied: Vec<&String> = files
        .filter(|file| rewritten.iter().all(|(name, _)| name != file))
        .collect();
    into_place(to, |fresh| {
        for file in copied {
            fs::copy(adapter.dir.join(file), fresh.join(file)).map_err(io(file))?;
        }
        for (file, text) in &rewritten {
            fs::write(fresh.join(file), text).map_err(io(file))?;
        }
        let manifest = serde_json::to_string_pretty(&adapter.manifest)
            .map_err(|e| refuse("json", e.to_string()))?;
        fs::write(fresh.join("adapter.json"), manifest).map_err(io("adapter.json"))
    })
}

/// Takes an exported adapter in.
///
/// Errors if it is damaged, its name is taken, or the pack that it was made on is not there.
pub fn import_adapter(options: &Options, from: &Path) -> Result<AdapterSummary> {
    let adapter = Adapter::read(from)?;
    if adapter.manifest.files.is_empty() {
        let message = "the folder states no digests of its files; export the adapter again";
        return Err(refuse("bad_adapter", message));
    }
    adapter.verify()?;
    fitting(options, &adapter)?;
    let name = &adapter.manifest.name;
    let dir = adapter_folder(&options.home, name)?;
    fs::create_dir_all(options.home.join("adapters")).map_err(io("the folder of adapters"))?;
    let plain = |file: &&String| is_adapter_name(file);
    into_place(&dir, |fresh| {
        let files = adapter.manifest.files.keys().filter(plain);
        for file in files.chain([&"adapter.json".to_owned()]) {
            fs::copy(from.join(file), fresh.join(file)).map_err(io(file))?;
        }
        Ok(())
    })?;
    let taken_in = read(options, name)?;
    taken_in.verify()?;
    // It is there, whatever state the library is in.
    let _ = ledger::note_adapters(&options.home);
    summary_now(options, &taken_in)
}

/// Fills a folder beside its place and renames it.
fn into_place(dir: &Path, fill: impl FnOnce(&Path) -> Result<()>) -> Result<()> {
    if dir.exists() {
        return Err(refuse(
            "name_taken",
            format!(
                "{} is there already; nothing was overwritten",
                dir.display()
            ),
        ));
    }
    let parent = dir.parent().filter(|p| !p.as_os_str().is_empty());
    let fresh = tempfile::Builder::new()
        .prefix(".new-")
        .tempdir_in(parent.unwrap_or(Path::new(".")))
        .map_err(io("the folder to write to"))?;
    fill(fresh.path())?;
    for entry in fs::read_dir(fresh.path()).into_iter().flatten().flatten() {
        let flushed = fs::File::open(entry.path()).and_then(|file| file.sync_all());
        flushed.map_err(io("the folder to write to"))?;
    }
    fs::rename(fresh.path(), dir).map_err(io("the folder to write to"))?;
    let _ = fresh.keep(); // it has its name now
    Ok(())
}
