//! Files of `torch.save` before torch 1.6: four pickles, a list of storage keys, then the storages.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::Path;

use super::gather::plan;
use super::{MAX_PICKLE_BYTES, Tensors, damaged, pickle_error, state};
use crate::error::{PackError, Result};
use crate::pickle::{Dialect, Element, Graph, Value, parse};

/// The number in the first pickle.
const MAGIC: i128 = 0x1950_a86a_20f9_469c_fc6c;
/// The number in the second.
const PROTOCOL: i128 = 1001;

/// True for the beginning of such a file: PROTO 2, then a whole number of ten bytes.
pub(super) fn recognises(head: &[u8]) -> bool {
    head.starts_with(&[0x80, 2, 0x8a, 10, 0x6c, 0xfc, 0x9c, 0x46])
}

/// Reads the model's state.
pub(super) fn read(path: &Path, mut file: File) -> Result<Tensors> {
    let file_bytes = file.metadata().map_err(PackError::io(path))?.len();
    file.seek(SeekFrom::Start(0)).map_err(PackError::io(path))?;
    let mut head = Vec::new();
    (&mut file)
        .take(MAX_PICKLE_BYTES)
        .read_to_end(&mut head)
        .map_err(PackError::io(path))?;

    let mut at = 0;
    let mut next = || -> Result<Graph<'_>> {
        let graph = parse(&head[at..], Dialect::Save).map_err(pickle_error(path))?;
        at += graph.consumed;
        Ok(graph)
    };
    let (magic, protocol, _system) = (next()?, next()?, next()?);
    for (graph, expected) in [(magic, MAGIC), (protocol, PROTOCOL)] {
        if !matches!(graph.get(graph.root), Value::Int(n) if *n == expected) {
            return Err(damaged(
                path,
                "the numbers at its beginning are not torch's",
            ));
        }
    }
    let (graph, keys) = (next()?, next()?);
    let layout = layout(path, &graph, &keys, at as u64, file_bytes)?;
    let views = state::find(&graph).map_err(|reason| damaged(path, reason))?;

    let readings = plan(&graph, views, file_bytes).map_err(|reason| damaged(path, reason))?;

    let mut tensors = Tensors::new();
    for reading in readings {
        let key = reading.key;
        let &start = layout
            .get(key)
            .ok_or_else(|| damaged(path, format!("storage {key:?} is not in the file")))?;
        let mut storage = vec![0; reading.bytes() as usize]; // `layout` found it in the file
        file.seek(SeekFrom::Start(start))
            .map_err(PackError::io(path))?;
        file.read_exact(&mut storage).map_err(PackError::io(path))?;
        for (name, view) in reading.views {
            tensors.insert(name, view.gather(reading.element, &storage));
        }
    }
    Ok(tensors)
}

/// Where each storage's numbers begin. Checks that all lie inside the file.
fn layout<'g>(
    path: &Path,
    graph: &Graph<'g>,
    keys: &Graph<'g>,
    start: u64,
    file_bytes: u64,
) -> Result<BTreeMap<&'g str, u64>> {
    let mut sizes: BTreeMap<&str, (Element, u64)> = BTreeMap::new();
    for value in &graph.values {
        if let &Value::Storage {
            element,
            key,
            numel,
        } = value
            && *sizes.entry(key).or_insert((element, numel)) != (element, numel)
        {
            return Err(damaged(
                path,
                format!("storage {key:?} is described in two ways"),
            ));
        }
    }
    let Value::List(order) = keys.get(keys.root) else {
        return Err(damaged(path, "the list of storages is missing"));
    };
    let mut starts = BTreeMap::new();
    let mut at = start;
    for &id in order {
        let key = keys.text(id).unwrap_or_default();
        let Some(&(element, numel)) = sizes.get(key) else {
            return Err(damaged(
                path,
                format!("storage {key:?} is used by no tensor"),
            ));
        };
        let begin = at.saturating_add(8); // the number of elements, again
        at = begin.saturating_add(numel.saturating_mul(element.bytes() as u64));
        if at > file_bytes {
            return Err(damaged(
                path,
                format!(
                    "storage {key:?} ends at byte {at}, the file at {file_bytes}: it is cut short"
                ),
            ));
        }
        if starts.insert(key, begin).is_some() {
            return Err(damaged(path, format!("storage {key:?} is listed twice")));
        }
    }
    Ok(starts)
}
