//! Finds the model's tensors among everything a checkpoint holds.

use std::collections::BTreeMap;

use crate::pickle::{Graph, Id, TensorView, Value};

/// Keys under which training programs keep the model's state beside the optimiser's.
const STATE_KEYS: [&str; 3] = ["state_dict", "model_state_dict", "model"];
/// Numbers that OpenAI's archives keep among the weights; `clip.model.build_model` drops them too.
const NOT_WEIGHTS: [&str; 3] = ["input_resolution", "context_length", "vocab_size"];
/// Modules are nested at most this deep.
const MAX_DEPTH: usize = 64;
/// More attributes than any model has.
const MAX_VISITS: usize = 1_000_000;

/// Views by tensor name.
pub(super) type Views<'g> = BTreeMap<String, &'g TensorView>;

/// The state of the model: of a state dictionary, of a training checkpoint that holds one, or of a
/// TorchScript module.
///
/// A `module.` in front of every name (torch's `DataParallel`) is removed; all else is verbatim.
/// Errors with a reason if there is none, or if a name occurs twice.
pub(super) fn find<'g>(graph: &'g Graph<'_>) -> Result<Views<'g>, String> {
    let mut views = match graph.get(graph.root) {
        Value::Object { .. } => module_state(graph)?,
        Value::Dict(entries) => {
            let nested = STATE_KEYS.iter().find_map(|key| {
                let id = entries.iter().find(|(k, _)| graph.text(*k) == Some(key))?.1;
                graph.dict(id)
            });
            dictionary_state(graph, nested.unwrap_or(entries))?
        }
        _ => return Err("neither a state dictionary nor a module".into()),
    };
    if views.is_empty() {
        return Err(format!("no tensors found; {}", describe(graph)));
    }
    if views.keys().all(|name| name.starts_with("module.")) {
        views = views
            .into_iter()
            .map(|(name, view)| (name["module.".len()..].to_string(), view))
            .collect();
    }
    for name in NOT_WEIGHTS {
        views.remove(name);
    }
    Ok(views)
}

fn dictionary_state<'g>(graph: &'g Graph<'_>, entries: &[(Id, Id)]) -> Result<Views<'g>, String> {
    let mut views = Views::new();
    for &(key, value) in entries {
        if let (Some(name), Value::Tensor(view)) = (graph.text(key), graph.get(value)) {
            insert(&mut views, name.to_string(), view)?;
        }
    }
    Ok(views)
}

/// Walks a module's attributes; a tensor's name is the path to it, joined by dots.
fn module_state<'g>(graph: &'g Graph<'_>) -> Result<Views<'g>, String> {
    let mut views = Views::new();
    let mut visits = 0;
    let mut open = vec![(String::new(), graph.root, 0)];
    while let Some((prefix, id, depth)) = open.pop() {
        let Value::Object { state: Some(state) } = graph.get(id) else {
            continue;
        };
        let Some(attributes) = graph.dict(*state) else {
            return Err("a module's state is no dictionary".into());
        };
        for &(key, value) in attributes {
            visits += 1;
            if visits > MAX_VISITS || depth > MAX_DEPTH {
                return Err("modules are nested too deeply".into());
            }
            let Some(name) = graph.text(key) else {
                return Err("a module's attribute has no name".into());
            };
            let path = match prefix.as_str() {
                "" => name.to_string(),
                prefix => format!("{prefix}.{name}"),
            };
            match graph.get(value) {
                Value::Tensor(view) => insert(&mut views, path, view)?,
                Value::Object { .. } => open.push((path, value, depth + 1)),
                _ => {}
            }
        }
    }
    Ok(views)
}

fn insert<'g>(views: &mut Views<'g>, name: String, view: &'g TensorView) -> Result<(), String> {
    match views.insert(name.clone(), view) {
        None => Ok(()),
        Some(_) => Err(format!("the tensor {name:?} occurs twice")),
    }
}

/// The first few names at the top of the checkpoint, so that a person sees what it is.
fn describe(graph: &Graph<'_>) -> String {
    let names: Vec<String> = graph
        .dict(graph.root)
        .unwrap_or_default()
        .iter()
        .filter_map(|(key, _)| graph.text(*key))
        .take(8)
        .map(|name| name.chars().take(40).collect())
        .collect();
    match names.is_empty() {
        true => "it is empty".into(),
        false => format!("at its top it has {}", names.join(", ")),
    }
}
