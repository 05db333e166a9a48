//! Makes `data/clip-merges.bin` from CLIP's published list of merges.
//!
//! `cargo run -p lucency-zoo --example clip_merges -- bpe_simple_vocab_16e6.txt data/clip-merges.bin`

use std::collections::HashMap;
use std::error::Error;

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let (Some(from), Some(to)) = (arguments.next(), arguments.next()) else {
        return Err("give the list of merges and the file to write".into());
    };
    let mut ids: HashMap<String, u16> = HashMap::new();
    let printable = |b: &u32| matches!(b, 0x21..=0x7E | 0xA1..=0xAC | 0xAE..=0xFF);
    // A byte that cannot be printed is written as the next character from U+0100.
    let letters = (0..256u32)
        .filter(printable)
        .chain(0x100..0x100 + (0..256u32).filter(|b| !printable(b)).count() as u32);
    for (id, letter) in letters.enumerate() {
        let letter = char::from_u32(letter).ok_or("no such letter")?;
        ids.insert(letter.to_string(), id as u16);
        ids.insert(format!("{letter}</w>"), id as u16 + 256);
    }
    let mut table = Vec::new();
    for line in std::fs::read_to_string(from)?.lines().skip(1).take(48_894) {
        let (left, right) = line.split_once(' ').ok_or("a line without two parts")?;
        table.extend_from_slice(&ids[left].to_le_bytes());
        table.extend_from_slice(&ids[right].to_le_bytes());
        ids.insert(format!("{left}{right}"), ids.len() as u16);
    }
    std::fs::write(to, table)?;
    Ok(())
}
