use crate::{tensors, vector};
use lucency_zoo::tokenizer::{ClipTokenizer, prune};
use serde::Deserialize;

#[derive(Deserialize)]
struct Phrase {
    text: String,
    encode: Vec<u32>,
    decode: String,
}

fn phrases() -> Vec<Phrase> {
    let text = std::fs::read_to_string(vector("tokenizer", "phrases.json")).unwrap();
    serde_json::from_str(&text).unwrap()
}

#[test]
fn all_phrases_have_the_ids_of_the_reference() {
    let tokenizer = ClipTokenizer::clip();
    let ids = &tensors("tokenizer", "outputs.safetensors")["ids"];
    let rows = ids.to_vec2::<i64>().unwrap();
    for (phrase, row) in phrases().iter().zip(rows) {
        assert_eq!(
            tokenizer.encode(&phrase.text),
            phrase.encode,
            "{}",
            phrase.text
        );
        assert_eq!(tokenizer.decode(&phrase.encode), phrase.decode);
        let row: Vec<u32> = row.iter().map(|id| *id as u32).collect();
        assert_eq!(tokenizer.tokenize(&phrase.text, 77), row, "{}", phrase.text);
    }
}

#[test]
fn an_independent_tokenizer_agrees_on_every_merge() {
    let (ours, theirs) = (
        ClipTokenizer::clip(),
        instant_clip_tokenizer::Tokenizer::new(),
    );
    let mut texts = 0;
    for id in 0..49_406u32 {
        let token = instant_clip_tokenizer::Token::from_u16(id as u16, &theirs).unwrap();
        let word = theirs.decode([token]);
        assert_eq!(ours.decode(&[id]), word, "the text of id {id}");
        // Only words that clean-up leaves alone can be compared; the other crate does not clean.
        if word
            .trim_end()
            .bytes()
            .all(|b| b.is_ascii_graphic() && !b"&<'\"".contains(&b))
        {
            let mut ids = Vec::new();
            theirs.encode(&word, &mut ids);
            let ids: Vec<u32> = ids.iter().map(|t| u32::from(t.to_u16())).collect();
            assert_eq!(ours.encode(&word), ids, "{word}");
            texts += 1;
        }
    }
    assert!(texts > 40_000);
}

#[test]
fn a_text_without_room_keeps_its_start_and_end() {
    let tokenizer = ClipTokenizer::clip();
    assert_eq!(
        tokenizer.tokenize("lung lung lung", 3),
        [49406, 16271, 49407]
    );
    assert_eq!(tokenizer.tokenize("", 4), [49406, 49407, 0, 0]);
}

#[test]
fn nothing_is_unknown_to_a_vocabulary_of_bytes_alone() {
    let bytes = ClipTokenizer::pruned(&[]).unwrap();
    assert_eq!(bytes.vocab_size(), 514);
    for phrase in phrases() {
        let ids = bytes.encode(&phrase.text);
        let (start, end) = (bytes.start(), bytes.end());
        assert!(ids.iter().all(|id| *id < 512 || *id == start || *id == end));
        assert_eq!(bytes.decode(&ids), phrase.decode, "{}", phrase.text);
    }
}

#[test]
fn kept_tokens_stay_whole_and_others_fall_into_their_parts() {
    let whole = ClipTokenizer::clip();
    let (chest, pneumonia) = (10_563, 42_906);
    let pruned = ClipTokenizer::pruned(&[chest]).unwrap();
    let ids = pruned.encode("chest pneumonia");
    assert_eq!(
        ids[0], 512,
        "the one kept merge has the first rank after the bytes"
    );
    assert!(ids.len() > whole.encode("chest pneumonia").len());
    assert_eq!(pruned.decode(&ids), "chest pneumonia ");
    assert_eq!(whole.encode("pneumonia"), [pneumonia]);
}

#[test]
fn a_vocabulary_chosen_for_a_corpus_spells_it_in_few_tokens() {
    let corpus: Vec<String> = phrases().into_iter().map(|p| p.text).collect();
    let whole: usize = corpus
        .iter()
        .map(|t| ClipTokenizer::clip().encode(t).len())
        .sum();
    let kept = prune::select(&corpus, 900);
    let pruned = ClipTokenizer::pruned(&kept).unwrap();
    assert!(pruned.vocab_size() <= 900);
    let spelt: usize = corpus.iter().map(|t| pruned.encode(t).len()).sum();
    assert_eq!(
        spelt, whole,
        "nine hundred ids hold every token of the phrases"
    );
    let tight = ClipTokenizer::pruned(&prune::select(&corpus, 600)).unwrap();
    assert!(tight.vocab_size() <= 600);
    let bytes: usize = corpus
        .iter()
        .map(|t| ClipTokenizer::pruned(&[]).unwrap().encode(t).len())
        .sum();
    let spelt: usize = corpus.iter().map(|t| tight.encode(t).len()).sum();
    assert!(whole < spelt && spelt < bytes);
    let mut turned = corpus.clone();
    turned.reverse();
    assert_eq!(
        prune::select(&turned, 600),
        prune::select(&corpus, 600),
        "order does not matter"
    );
}

#[test]
fn a_saved_vocabulary_reads_back_equal() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tokenizer.json");
    let tokenizer = ClipTokenizer::pruned(&[42_906, 10_563, 600]).unwrap();
    tokenizer.save(&path).unwrap();
    let read = ClipTokenizer::load(&path).unwrap();
    assert_eq!(read.kept_ids(), tokenizer.kept_ids());
    assert_eq!(read.tokenize("chest", 5), [515, 513, 516, 0, 0]);
    assert!(ClipTokenizer::from_json("{\"vocabulary\":\"clip\",\"merged_ids\":[49406]}").is_err());
    assert!(ClipTokenizer::from_json("{}").is_err());
    assert!(ClipTokenizer::load(&folder.path().join("absent.json")).is_err());
}

#[test]
fn a_very_long_word_is_no_trap() {
    let word = "ab".repeat(100_000);
    assert!(!ClipTokenizer::clip().encode(&word).is_empty());
}
