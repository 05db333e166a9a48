//! Architectures: CLIP, question answering, preprocessing, tokenizer.
