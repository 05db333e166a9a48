//! Adapter files as PEFT writes and reads them.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;

use candle_core::{DType, Device, Tensor};
use lucency_nn::{Adaptation, AdapterKind, save_tensors};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::towers::CONTEXT;
use crate::{Result, TrainError};

/// The tensors' file.
pub const TENSORS: &str = "adapter_model.safetensors";
/// The numbers' file.
pub const CONFIG: &str = "adapter_config.json";

const PREFIX: &str = "base_model.model.";
const PROMPT: &str = "prompt_embeddings";

/// A key as PEFT writes it.
///
/// Inside PyTorch's packed attention, PEFT wraps the whole module, so that the output map lies below `base_layer`.
/// A prefix has no key of its own in PEFT's files; see [`save`].
pub fn to_peft(key: &str) -> String {
    let inner = key.replace(".attn.out_proj.", ".attn.base_layer.out_proj.");
    format!("{PREFIX}{inner}")
}

/// A model's own key from PEFT's.
pub fn from_peft(key: &str) -> String {
    key.strip_prefix(PREFIX)
        .unwrap_or(key)
        .replace(".attn.base_layer.out_proj.", ".attn.out_proj.")
        .replace(".default.", ".")
}

/// Writes both files into a folder.
///
/// - `trained`: an adapter's tensors by the model's keys
///
/// Keys and values of a prefix go into one table a tower, `<blocks>.prompt_embeddings` `[tokens, layers · 2 · width]`, in PEFT's order:
/// for every layer its key, then its value. PEFT knows one tower a file; `towers` in the configuration says what a table belongs to.
pub fn save(
    folder: &Path,
    adaptation: &Adaptation,
    trained: &BTreeMap<String, Tensor>,
) -> Result<()> {
    let mut config = config(adaptation);
    let tensors = match adaptation.kind() {
        AdapterKind::Prefix { .. } => {
            let (tensors, towers) = pack_prefix(trained)?;
            config["towers"] = json!(towers);
            tensors
        }
        _ => trained
            .iter()
            .map(|(key, tensor)| (to_peft(key), tensor.clone()))
            .collect(),
    };
    save_tensors(&tensors, &folder.join(TENSORS), DType::F32)?;
    let path = folder.join(CONFIG);
    let text = serde_json::to_string_pretty(&config).map_err(|e| TrainError::json(&path, e))?;
    crate::best::write_whole(&path, text.as_bytes())
}

/// Writes learned context vectors as PEFT's prompt tuning: `prompt_embeddings` `[tokens, width]`.
pub fn save_prompt(folder: &Path, trained: &BTreeMap<String, Tensor>) -> Result<()> {
    let Some(context) = trained.get(CONTEXT) else {
        return Err(TrainError::Plan("there are no context vectors".into()));
    };
    let (tokens, width) = context.dims2()?;
    let tensors = BTreeMap::from([(PROMPT.to_string(), context.clone())]);
    save_tensors(&tensors, &folder.join(TENSORS), DType::F32)?;
    let config = json!({
        "peft_type": "PROMPT_TUNING", "num_virtual_tokens": tokens, "token_dim": width, "num_transformer_submodules": 1,
        "inference_mode": true, "base_model_name_or_path": null, "task_type": null, "prompt_tuning_init": "TEXT",
    });
    let path = folder.join(CONFIG);
    let text = serde_json::to_string_pretty(&config).map_err(|e| TrainError::json(&path, e))?;
    crate::best::write_whole(&path, text.as_bytes())
}

/// Reads an adapter's tensors by the model's keys.
///
/// Errors if a file is missing or cut short, or a prefix does not say where it belongs.
pub fn load(folder: &Path) -> Result<HashMap<String, Tensor>> {
    let path = folder.join(TENSORS);
    let tensors =
        candle_core::safetensors::load(&path, &Device::Cpu).map_err(|e| TrainError::Adapter {
            path: path.clone(),
            reason: format!("its tensors cannot be read: {e}"),
        })?;
    let mut out = HashMap::new();
    let mut towers: Option<BTreeMap<String, Tower>> = None;
    for (key, tensor) in tensors {
        if key == PROMPT {
            out.insert(CONTEXT.to_string(), tensor);
            continue;
        }
        let Some(blocks) = key.strip_suffix(".prompt_embeddings") else {
            out.insert(from_peft(&key), tensor);
            continue;
        };
        if towers.is_none() {
            towers = Some(read_towers(folder)?);
        }
        let tower = towers.as_ref().and_then(|t| t.get(blocks));
        let tower = tower.ok_or_else(|| TrainError::Adapter {
            path: folder.join(CONFIG),
            reason: format!("it does not say what the prefix of `{blocks}` belongs to"),
        })?;
        unpack_prefix(blocks, tower, &tensor, &mut out)?;
    }
    Ok(out)
}

/// What a table of prefixes belongs to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Tower {
    attention: String,
    num_layers: usize,
    token_dim: usize,
}

fn read_towers(folder: &Path) -> Result<BTreeMap<String, Tower>> {
    let path = folder.join(CONFIG);
    let text = std::fs::read_to_string(&path).map_err(|e| TrainError::io(&path, e))?;
    let value: Value = serde_json::from_str(&text).map_err(|e| TrainError::json(&path, e))?;
    let towers = value.get("towers").cloned().unwrap_or(json!({}));
    serde_json::from_value(towers).map_err(|e| TrainError::json(&path, e))
}

/// PEFT's `adapter_config.json`.
fn config(adaptation: &Adaptation) -> Value {
    let targets = match adaptation.targets() {
        [one] if one == lucency_nn::ALL_LAYERS => json!(one),
        several => json!(several),
    };
    match adaptation.kind() {
        AdapterKind::Lora {
            rank,
            alpha,
            dropout,
        } => json!({
            "peft_type": "LORA", "r": rank, "lora_alpha": alpha, "lora_dropout": dropout, "target_modules": targets,
            "bias": "none", "fan_in_fan_out": false, "inference_mode": true, "base_model_name_or_path": null, "task_type": null,
            "use_rslora": false, "use_dora": false, "init_lora_weights": true, "modules_to_save": null,
        }),
        AdapterKind::Ia3 { feedforward } => json!({
            "peft_type": "IA3", "target_modules": targets, "feedforward_modules": feedforward, "fan_in_fan_out": false,
            "inference_mode": true, "base_model_name_or_path": null, "task_type": null, "init_ia3_weights": true,
            "modules_to_save": null,
        }),
        AdapterKind::Prefix { tokens } => json!({
            "peft_type": "PREFIX_TUNING", "num_virtual_tokens": tokens, "prefix_projection": false, "inference_mode": true,
            "base_model_name_or_path": null, "task_type": null,
        }),
    }
}

/// The part of a key before its layer's number, the number, and what comes after.
fn split_layer(key: &str) -> Option<(&str, usize, &str)> {
    for marker in [".layers.", ".resblocks.", ".h."] {
        if let Some((tower, rest)) = key.split_once(marker) {
            let (number, rest) = rest.split_once('.')?;
            let end = tower.len() + marker.len() - 1;
            return Some((&key[..end], number.parse().ok()?, rest));
        }
    }
    None
}

/// An attention's key and the prefixes of its layers, key before value.
type Layers = (String, BTreeMap<(usize, u8), Tensor>);

type Tables = (BTreeMap<String, Tensor>, BTreeMap<String, Tower>);

fn pack_prefix(trained: &BTreeMap<String, Tensor>) -> Result<Tables> {
    let mut parts: BTreeMap<String, Layers> = BTreeMap::new();
    for (key, tensor) in trained {
        let refuse = || TrainError::Plan(format!("`{key}` is no prefix of a layer"));
        let (blocks, layer, rest) = split_layer(key).ok_or_else(refuse)?;
        let (attention, part) = match rest.rsplit_once('.') {
            Some((attention, "prefix_key")) => (attention, 0),
            Some((attention, "prefix_value")) => (attention, 1),
            _ => return Err(refuse()),
        };
        let tower = parts
            .entry(blocks.to_string())
            .or_insert_with(|| (attention.to_string(), BTreeMap::new()));
        tower.1.insert((layer, part), tensor.clone());
    }
    let (mut tensors, mut towers) = (BTreeMap::new(), BTreeMap::new());
    for (blocks, (attention, parts)) in parts {
        let parts: Vec<Tensor> = parts.into_values().collect();
        towers.insert(
            blocks.clone(),
            Tower {
                attention,
                num_layers: parts.len() / 2,
                token_dim: parts[0].dim(1)?,
            },
        );
        tensors.insert(
            format!("{blocks}.prompt_embeddings"),
            Tensor::cat(&parts, 1)?,
        );
    }
    Ok((tensors, towers))
}

fn unpack_prefix(
    blocks: &str,
    tower: &Tower,
    table: &Tensor,
    out: &mut HashMap<String, Tensor>,
) -> Result<()> {
    let (_, wide) = table.dims2()?;
    if wide != 2 * tower.num_layers * tower.token_dim {
        return Err(TrainError::Data(format!(
            "the prefix of `{blocks}` is {wide} wide, not 2 · {} · {}",
            tower.num_layers, tower.token_dim
        )));
    }
    for layer in 0..tower.num_layers {
        for (part, name) in ["prefix_key", "prefix_value"].into_iter().enumerate() {
            let first = (2 * layer + part) * tower.token_dim;
            let own = table.narrow(1, first, tower.token_dim)?.contiguous()?;
            out.insert(format!("{blocks}.{layer}.{}.{name}", tower.attention), own);
        }
    }
    Ok(())
}
