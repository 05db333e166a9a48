//! Fine-tuning through the whole program, on phantoms: every method, going live and back, bad input, and runs that are killed.

mod bad_input;
mod foreign;
mod killed;
mod library;
mod methods;
mod probe;

use std::path::Path;

use lucency_tests::{error_of, run};

const LABELS: &str = "image=image,patient=patient,label=unit";
const REPORTS: &str = "image=image,patient=patient,report=report";

/// Refuses `words` with a code and a message that has `part`.
fn refused(home: &Path, words: &[&str], code: &str, part: &str) {
    let (found, message) = error_of(&run(home, words));
    assert_eq!(found, code, "{words:?}: {message}");
    assert!(message.contains(part), "{words:?}: {message}");
}

/// The words of a command on a table.
fn on<'a>(words: &[&'a str], data: &'a Path, table: &'a Path, columns: &'a str) -> Vec<&'a str> {
    let text = |path: &'a Path| path.to_str().expect("UTF-8");
    let mut all = words.to_vec();
    all.extend([
        "--data",
        text(data),
        "--table",
        text(table),
        "--columns",
        columns,
    ]);
    all
}

/// What lies below a folder, but for the locks and logs, as bytes.
fn tensors(home: &Path, adapter: &str) -> Vec<u8> {
    let dir = home.join("adapters").join(adapter);
    ["adapter_model.safetensors", "model.safetensors"]
        .iter()
        .find_map(|name| std::fs::read(dir.join(name)).ok())
        .expect("the adapter has tensors")
}
