//! Pages on which nothing is hidden: names and ids come from outside, and a character that shows nothing
//! or turns the line around would make one look like another.

use std::fmt::Write;

use crate::text::is_hidden;

/// The page with such characters written out, such as `\u{202e}`; in the value of a field, which is
/// sent back, it is kept as it is, by its number.
pub(super) fn seen(html: String) -> String {
    let is_odd = |c: char| is_hidden(c) && !matches!(c, '\n' | '\r' | '\t');
    if !html.contains(is_odd) {
        return html;
    }
    let mut page = String::with_capacity(html.len() + 64);
    let mut is_tag = false;
    for c in html.chars() {
        match c {
            c if is_odd(c) => {
                let attribute = page.rsplit_once("=\"").filter(|_| is_tag);
                let is_value = attribute.is_some_and(|(before, _)| before.ends_with(" value"));
                // a text takes what is written to it
                let _ = if is_value {
                    write!(page, "&#{};", u32::from(c))
                } else {
                    write!(page, "{}", c.escape_unicode())
                };
                continue;
            }
            // those of texts are escaped
            '<' => is_tag = true,
            '>' => is_tag = false,
            _ => {}
        }
        page.push(c);
    }
    page
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_hidden_is_written_out_and_values_stay() {
        let plain = "<p title=\"ä\">\n\t1\u{202f}000</p>";
        assert_eq!(seen(plain.to_owned()), plain);
        let odd = "<td title=\"a\u{202e}b\">a\u{202e}b\u{0}</td><input value=\"\u{202e}x\">";
        let said = "<td title=\"a\\u{202e}b\">a\\u{202e}b\\u{0}</td><input value=\"&#8238;x\">";
        assert_eq!(seen(odd.to_owned()), said);
    }
}
