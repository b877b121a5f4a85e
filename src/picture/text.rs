//! Text and numbers as drawings and pages hold them.

/// Characters of a title or a caption that are shown in a drawing; the middle of longer ones is left out.
const MOST_TEXT: usize = 110;

/// Text for an element or a quoted attribute of HTML or XML. What XML 1.0 cannot hold becomes U+FFFD.
pub(super) fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            '\t' | '\n' | '\r' => out.push(' '),
            // The last two ranges turn the direction of the text around them.
            '\0'..='\u{1f}' | '\u{fffe}' | '\u{ffff}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => {
                out.push('\u{fffd}');
            }
            c => out.push(c),
        }
    }
    out
}

/// As [`escaped`], without the middle of what is longer than [`MOST_TEXT`] characters.
pub(super) fn shortened(text: &str) -> String {
    let count = text.chars().count();
    if count <= MOST_TEXT {
        return escaped(text);
    }
    let head: String = text.chars().take(MOST_TEXT / 3).collect();
    let tail: String = text.chars().skip(count - (MOST_TEXT - MOST_TEXT / 3 - 1)).collect();
    escaped(&format!("{head}\u{2026}{tail}"))
}

/// A coordinate to a thousandth of a pixel, in as few characters as that takes.
pub(super) fn number(value: f64) -> String {
    let text = format!("{value:.3}");
    let text = text.trim_end_matches('0').trim_end_matches('.');
    if text == "-0" { "0".to_owned() } else { text.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_text_becomes_markup() {
        assert_eq!(
            escaped("<script>&\"'\u{1}\n\u{202e}é"),
            "&lt;script&gt;&amp;&quot;&#39;\u{fffd} \u{fffd}é"
        );
        let long = format!("start{}end<", "x".repeat(500));
        let short = shortened(&long);
        assert!(short.starts_with("start") && short.ends_with("end&lt;"), "{short}");
        assert_eq!(short.replace("&lt;", "<").chars().count(), MOST_TEXT);
    }

    #[test]
    fn numbers_are_short() {
        for (value, text) in
            [(1.0, "1"), (-0.0001, "0"), (0.5, "0.5"), (1.23456, "1.235"), (-20.0, "-20"), (100.0, "100")]
        {
            assert_eq!(number(value), text);
        }
    }
}
