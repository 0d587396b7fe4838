//! `fields=`: which members of an object a caller wants.

use serde_json::{Map, Value};

use super::call::Call;
use super::refusal as no;
use crate::sandbox::graph_error::GraphError;

/// The members of the object the caller names, or these when it names none. A field that is
/// `known` and not there is left out, as Graph does with what the caller may not see; the `id` is
/// always in the answer.
pub(super) fn pick(
    call: &Call,
    defaults: &[&str],
    known: &[&str],
    object: &Map<String, Value>,
) -> Result<Value, Box<GraphError>> {
    let asked = call.get("fields").map(names);
    let wanted = asked.unwrap_or_else(|| defaults.iter().map(|&name| name.to_owned()).collect());
    let mut picked = Map::new();
    for name in wanted {
        if !known.contains(&name.as_str()) {
            return Err(GraphError::boxed(&no::FIELD));
        }
        if let Some(value) = object.get(&name) {
            picked.insert(name, value.clone());
        }
    }
    if let Some(id) = object.get("id") {
        picked.insert("id".to_owned(), id.clone());
    }
    Ok(Value::Object(picked))
}

/// Whether the caller names this field.
pub(super) fn wants(call: &Call, name: &str) -> bool {
    let asked = call.get("fields").map(names).unwrap_or_default();
    asked.iter().any(|asked| asked == name)
}

/// The names of a list such as `id,owner_business{id,name}`; what is in braces is dropped.
fn names(list: &str) -> Vec<String> {
    let mut depth = 0_usize;
    let mut flat = String::new();
    for letter in list.chars() {
        match letter {
            '{' => depth += 1,
            '}' => depth = depth.saturating_sub(1),
            ' ' => {}
            other if depth == 0 => flat.push(other),
            _ => {}
        }
    }
    let words = flat.split(',').filter(|word| !word.is_empty());
    words.map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn braces_are_skipped() {
        assert_eq!(names("id, name"), ["id", "name"]);
        assert_eq!(names("a{b,c{d}},e"), ["a", "e"]);
        assert_eq!(names(",}"), [""; 0]);
    }
}
