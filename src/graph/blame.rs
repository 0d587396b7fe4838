//! Which event of a batch Graph blames, if its `error_data` says so.
//!
//! Meta documents none of it for this edge; the forms are those of other edges. The index is a
//! hint about where to look first, not a proof.

use serde_json::Value;

/// Reads `error_data`: an object, or the same as a JSON string.
///
/// Known forms: `{"event_index": 3}`, and `{"blame_field_specs": […]}` with a path such as
/// `["data", 3, "user_data"]`, `["data", "3"]`, or `"data[3][user_data]"`.
pub(super) fn index(data: &Value) -> Option<usize> {
    match data {
        Value::String(text) => in_object(&serde_json::from_str(text).ok()?),
        other => in_object(other),
    }
}

fn in_object(data: &Value) -> Option<usize> {
    if let Some(index) = data.get("event_index") {
        return number(index);
    }
    data.get("blame_field_specs")?
        .as_array()?
        .iter()
        .find_map(in_path)
}

fn in_path(path: &Value) -> Option<usize> {
    let mut words = Vec::new();
    match path {
        Value::Array(parts) => parts
            .iter()
            .take(3)
            .for_each(|part| split(part, &mut words)),
        part => split(part, &mut words),
    }
    match words.as_slice() {
        [data, index, ..] if data == "data" => index.parse().ok(),
        _ => None,
    }
}

fn split(part: &Value, words: &mut Vec<String>) {
    match part {
        Value::String(text) => {
            let found = text.split(['[', ']', '.']).filter(|word| !word.is_empty());
            words.extend(found.take(2).map(ToOwned::to_owned));
        }
        Value::Number(number) => words.push(number.to_string()),
        _ => {}
    }
}

fn number(value: &Value) -> Option<usize> {
    match value {
        Value::String(text) => text.trim().parse().ok(),
        other => usize::try_from(other.as_u64()?).ok(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn every_known_form_gives_the_index() {
        for data in [
            json!({"event_index": 3}),
            json!({"event_index": "3"}),
            json!({"blame_field_specs": [["data", 3, "user_data"]]}),
            json!({"blame_field_specs": [["data", "3", "user_data", "em"]]}),
            json!({"blame_field_specs": [["data[3][user_data]"]]}),
            json!({"blame_field_specs": ["data[3][user_data][em]"]}),
            json!({"blame_field_specs": ["data.3.user_data"]}),
            json!({"blame_field_specs": [["access_token"], ["data", 3]]}),
        ] {
            assert_eq!(index(&data), Some(3), "{data}");
            assert_eq!(index(&Value::String(data.to_string())), Some(3), "{data}");
        }
    }

    #[test]
    fn anything_else_gives_none() {
        for data in [
            json!(null),
            json!(3),
            json!("3"),
            json!("{"),
            json!([]),
            json!({"event_index": -1}),
            json!({"event_index": 1.5}),
            json!({"event_index": null}),
            json!({"blame_field_specs": 3}),
            json!({"blame_field_specs": [3, [], ["data"], ["data", "x"], ["user_data", 3]]}),
            json!({"blame_field_specs": [["data", -1], ["data", [3]], "data[99999999999999999999]"]}),
        ] {
            assert_eq!(index(&data), None, "{data}");
        }
    }
}
