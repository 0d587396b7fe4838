//! What a record keeps beside the event: the options of its request, and what became of its fields.
//!
//! Both are one JSON object; none of either takes no bytes. The changes come last. A reader that does
//! not know of them passes over that member, as over any it does not know.

use std::borrow::Cow;

use crate::event::Changes;

const KEY: &[u8] = b"\"changes\":\"";
const END: &[u8] = b"\"}";

/// The bytes that a record keeps, from those of the options.
pub(crate) fn stored<'o>(options: &'o [u8], changes: &Changes) -> Cow<'o, [u8]> {
    if changes.is_empty() {
        return Cow::Borrowed(options);
    }
    let mut bytes = Vec::with_capacity(stored_len(options, changes));
    match options.strip_suffix(b"}") {
        Some(members) => {
            bytes.extend_from_slice(members);
            bytes.push(b',');
        }
        None => bytes.push(b'{'),
    }
    bytes.extend_from_slice(KEY);
    bytes.extend_from_slice(changes.as_str().as_bytes());
    bytes.extend_from_slice(END);
    Cow::Owned(bytes)
}

/// How many they are.
pub(crate) fn stored_len(options: &[u8], changes: &Changes) -> usize {
    if changes.is_empty() {
        return options.len();
    }
    options.len().max(1) + KEY.len() + changes.as_str().len() + END.len()
}

/// What became of the fields, from the bytes that a record keeps.
pub(crate) fn changes(stored: &[u8]) -> Changes {
    let text = stored.strip_suffix(END).and_then(|stored| {
        let start = memchr::memrchr(b'"', stored)? + 1;
        let (before, text) = stored.split_at_checked(start)?;
        before.ends_with(KEY).then_some(text)
    });
    text.map_or_else(Changes::default, Changes::of_record)
}

/// Whether the bytes are of no options.
pub(crate) fn has_no_options(stored: &[u8]) -> bool {
    let rest = stored.strip_prefix(b"{");
    stored.is_empty() || rest.is_some_and(|rest| rest.starts_with(KEY) && stored.ends_with(END))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::journal::RequestOptions;

    #[test]
    fn changes_stand_behind_the_options_and_disturb_no_reader() {
        let some = Changes::of_record(b"n1h7");
        for options in [
            RequestOptions::default(),
            RequestOptions {
                test_event_code: Some("\"changes\":\"n1\"}".to_owned()),
                trace: Some(7),
                ..RequestOptions::default()
            },
        ] {
            for known in [Changes::default(), some.clone()] {
                let own = options.to_stored();
                let bytes = stored(&own, &known);
                assert_eq!(bytes.len(), stored_len(&own, &known));
                assert_eq!(changes(&bytes), known);
                assert_eq!(RequestOptions::from_stored(&bytes).as_ref(), Some(&options));
                // as a program does that knows nothing of them
                if !bytes.is_empty() {
                    let read: RequestOptions = serde_json::from_slice(&bytes).unwrap();
                    assert_eq!(read, options);
                }
                assert_eq!(has_no_options(&bytes), options.is_empty());
            }
        }
        assert_eq!(stored(b"", &some).as_ref(), br#"{"changes":"n1h7"}"#);
        for other in [
            &b"{\"changes\":\"N1\"}"[..],
            b"{\"changes\":7}",
            b"{",
            b"\"}",
        ] {
            assert!(changes(other).is_empty());
        }
    }
}
