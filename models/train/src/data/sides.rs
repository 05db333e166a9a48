//! Left and right in words.

/// Swaps the words left and right, keeping case; other words stay.
pub fn swap_sides(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut word = String::new();
    for c in text.chars().chain(std::iter::once('\0')) {
        if c.is_alphanumeric() {
            word.push(c);
            continue;
        }
        out.push_str(match word.as_str() {
            "left" => "right",
            "right" => "left",
            "Left" => "Right",
            "Right" => "Left",
            "LEFT" => "RIGHT",
            "RIGHT" => "LEFT",
            other => other,
        });
        word.clear();
        if c != '\0' {
            out.push(c);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_whole_words_change_sides() {
        assert_eq!(
            swap_sides("Left-sided effusion; the right is bright, leftover."),
            "Right-sided effusion; the left is bright, leftover."
        );
    }
}
