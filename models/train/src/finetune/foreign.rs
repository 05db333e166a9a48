//! Adapters that PEFT wrote: a folder without a manifest of ours, bound to a pack by its keys and shapes.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;

use candle_core::Tensor;
use serde_json::Value;

use super::{Method, Model, Towers, TunePlan, peft, with_adapter};
use crate::{Result, TrainError};

/// A plan and towers that a folder of PEFT's gave.
pub struct Foreign {
    /// What it says of itself, as a plan.
    pub plan: TunePlan,
    /// The pack's towers with its parts.
    pub towers: Towers,
}

/// Reads `adapter_config.json` and `adapter_model.safetensors` onto a pack.
///
/// - `pack`: its name, for messages
///
/// LoRA, IA3 and prompt tuning are understood, and prefixes as [`peft::save`] writes them. Which layers are adapted is read from the keys
/// of the tensors, so lists, patterns and chosen layers of the configuration need no interpretation.
///
/// Errors if a file is missing or damaged, if the configuration asks for something that would be answered differently here (such as
/// DoRA), or if a key or a shape does not fit the pack: with the first that does not.
pub fn read_foreign(folder: &Path, model: Model<'_>, pack: &str) -> Result<Foreign> {
    let refuse = |reason: String| TrainError::Adapter {
        path: folder.to_path_buf(),
        reason,
    };
    let path = folder.join(peft::CONFIG);
    let text = std::fs::read_to_string(&path).map_err(|e| TrainError::io(&path, e))?;
    let config: Value = serde_json::from_str(&text).map_err(|e| TrainError::json(&path, e))?;
    let mut plan = plan_of(&config).map_err(refuse)?;
    let trained = peft::load(folder)?;
    if trained.is_empty() {
        return Err(refuse("it holds no tensor".into()));
    }
    plan.targets = targets(&trained, &plan, model.tensors, pack).map_err(refuse)?;
    let towers = with_adapter(model, trained, &plan)
        .map_err(|e| refuse(format!("it does not fit the pack `{pack}`: {e}")))?;
    Ok(Foreign { plan, towers })
}

/// The numbers of a configuration; an error says what cannot be done with it.
fn plan_of(config: &Value) -> std::result::Result<TunePlan, String> {
    let kind = config["peft_type"].as_str().unwrap_or_default();
    let method = match kind {
        "LORA" => Method::Lora,
        "IA3" => Method::Ia3,
        "PREFIX_TUNING" => Method::Prefix,
        "PROMPT_TUNING" => Method::Prompt,
        other => {
            return Err(format!(
                "its peft_type is {other:?}; LORA, IA3, PREFIX_TUNING and PROMPT_TUNING can be imported"
            ));
        }
    };
    let on = |name: &str| config[name].as_bool() == Some(true);
    let filled = |name: &str| match &config[name] {
        Value::Object(entries) => !entries.is_empty(),
        Value::Array(entries) => !entries.is_empty(),
        Value::Null => false,
        _ => true,
    };
    let switches = [
        "use_dora",
        "use_qalora",
        "use_bdlora",
        "fan_in_fan_out",
        "lora_bias",
    ];
    let tables = [
        "rank_pattern",
        "alpha_pattern",
        "modules_to_save",
        "target_parameters",
    ];
    let bias = config["bias"].as_str().is_some_and(|bias| bias != "none");
    let first = switches
        .into_iter()
        .find(|name| on(name))
        .or_else(|| tables.into_iter().find(|name| filled(name)))
        .or(bias.then_some("bias"));
    if let Some(name) = first {
        return Err(format!(
            "its configuration sets `{name}`, which is not understood here; merge it into plain LoRA or IA3 with PEFT first"
        ));
    }
    let mut plan = TunePlan {
        dropout: 0.0,
        ..TunePlan::preset(method)
    };
    let number = |name: &str| {
        let found = config[name].as_f64().filter(|n| *n > 0.0);
        found.ok_or_else(|| format!("its configuration has no number `{name}` above 0"))
    };
    match method {
        Method::Lora => {
            let rank = number("r")?;
            plan.rank = rank as usize;
            // Rank-stabilised scaling divides by the root of the rank. Source: Kalajdzievski 2023, section 3.
            let factor = if on("use_rslora") { rank.sqrt() } else { 1.0 };
            plan.alpha = number("lora_alpha")? * factor;
        }
        Method::Prefix | Method::Prompt => plan.tokens = number("num_virtual_tokens")? as usize,
        _ => {}
    }
    Ok(plan)
}

/// The layers that tensors belong to, once each of them fits the pack.
fn targets(
    trained: &HashMap<String, Tensor>,
    plan: &TunePlan,
    base: &HashMap<String, Tensor>,
    pack: &str,
) -> std::result::Result<Vec<String>, String> {
    let ordered: BTreeMap<&String, &Tensor> = trained.iter().collect();
    let mut layers: Vec<String> = Vec::new();
    for (key, tensor) in ordered {
        let (layer, part) = match split(key) {
            Some(found) => found,
            None if plan.method == Method::Prompt => continue,
            None => {
                return Err(format!(
                    "its tensor `{key}` is no part of {}; only the adapter's own tensors can be imported",
                    plan.method.name()
                ));
            }
        };
        if part.starts_with("prefix_") {
            continue; // keys and values have the width of the attention, which building checks
        }
        let weight = ["weight", "in_proj_weight"]
            .iter()
            .find_map(|name| base.get(&format!("{layer}.{name}")));
        let Some(weight) = weight else {
            return Err(format!(
                "the pack `{pack}` has no layer `{layer}`, which it adapts: it was made on another architecture, or on one with other names"
            ));
        };
        let (wanted, found) = (weight.dims(), tensor.dims());
        let fits = match part {
            "lora_A.weight" => found.first() == Some(&plan.rank) && found[1..] == wanted[1..],
            "lora_B.weight" => found.len() > 1 && found[0] == wanted[0] && found[1] == plan.rank,
            _ => [wanted[0], wanted[1]].contains(&tensor.elem_count()),
        };
        if !fits {
            return Err(format!(
                "its `{part}` of the layer `{layer}` has the shape {found:?}, which does not fit the weight {wanted:?} of the pack `{pack}`{}",
                if plan.method == Method::Lora {
                    format!(" at rank {}", plan.rank)
                } else {
                    String::new()
                }
            ));
        }
        if layers.last().is_none_or(|last| last != layer) {
            layers.push(layer.to_owned());
        }
    }
    Ok(layers)
}

/// A layer's key and the part of an adapter behind it.
fn split(key: &str) -> Option<(&str, &str)> {
    let parts = [
        "lora_A.weight",
        "lora_B.weight",
        "ia3_l",
        "prefix_key",
        "prefix_value",
    ];
    parts.into_iter().find_map(|part| {
        let layer = key.strip_suffix(part)?.strip_suffix('.')?;
        Some((layer, part))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::{DType, Device};
    use serde_json::json;

    fn zeros(shape: &[usize]) -> Tensor {
        Tensor::zeros(shape, DType::F32, &Device::Cpu).unwrap_or_else(|e| panic!("{e}"))
    }

    #[test]
    fn numbers_are_read_as_peft_means_them() {
        let lora = json!({"peft_type": "LORA", "r": 4, "lora_alpha": 8, "use_rslora": true, "bias": "none"});
        let plan = plan_of(&lora).unwrap_or_else(|e| panic!("{e}"));
        assert_eq!((plan.rank, plan.alpha, plan.dropout), (4, 16.0, 0.0));
        for (bad, part) in [
            (json!({"peft_type": "LOHA"}), "LOHA"),
            (
                json!({"peft_type": "LORA", "r": 4, "lora_alpha": 8, "use_dora": true}),
                "use_dora",
            ),
            (
                json!({"peft_type": "LORA", "r": 4, "lora_alpha": 8, "bias": "all"}),
                "bias",
            ),
            (
                json!({"peft_type": "LORA", "r": 4, "lora_alpha": 8, "rank_pattern": {"q": 2}}),
                "rank_pattern",
            ),
            (json!({"peft_type": "LORA", "lora_alpha": 8}), "`r`"),
        ] {
            let error = plan_of(&bad).err().unwrap_or_default();
            assert!(error.contains(part), "{error}");
        }
    }

    #[test]
    fn a_key_or_a_shape_that_does_not_fit_is_named() {
        let base = HashMap::from([("a.q_proj.weight".to_owned(), zeros(&[6, 5]))]);
        let plan = TunePlan {
            rank: 2,
            ..TunePlan::preset(Method::Lora)
        };
        let of = |tensors: &[(&str, &[usize])]| {
            let tensors = tensors
                .iter()
                .map(|(key, shape)| ((*key).to_owned(), zeros(shape)));
            targets(&tensors.collect(), &plan, &base, "demo")
        };
        let (a, b) = ("a.q_proj.lora_A.weight", "a.q_proj.lora_B.weight");
        assert_eq!(
            of(&[(a, &[2, 5]), (b, &[6, 2])]),
            Ok(vec!["a.q_proj".to_owned()])
        );
        let error = of(&[(a, &[2, 7]), (b, &[6, 2])]).err().unwrap_or_default();
        assert!(
            error.contains("[2, 7]") && error.contains("[6, 5]"),
            "{error}"
        );
        let error = of(&[("b.q_proj.lora_A.weight", &[2, 5])])
            .err()
            .unwrap_or_default();
        assert!(error.contains("no layer `b.q_proj`"), "{error}");
        let error = of(&[("a.q_proj.weight", &[6, 5])])
            .err()
            .unwrap_or_default();
        assert!(error.contains("only the adapter's own tensors"), "{error}");
    }
}
