//! A personal value as the client gave it.

use std::fmt;

/// A value of `user_data` as raw JSON text, before it is normalised and hashed.
///
/// It can be neither shown nor stored: no `Serialize`, no `Display`, no `Deref`, and `Debug`
/// tells its length only. The one way on is through its field's rule.
///
/// ```compile_fail
/// fn show(value: capigate::event::Pii<'_>) -> String {
///     value.to_string()
/// }
/// ```
/// ```compile_fail
/// fn store(value: capigate::event::Pii<'_>) -> String {
///     serde_json::to_string(&value).unwrap()
/// }
/// ```
#[derive(Clone, Copy)]
pub struct Pii<'a>(&'a str);

impl<'a> Pii<'a> {
    pub(in crate::event) fn new(raw: &'a str) -> Self {
        Self(raw)
    }

    /// The raw JSON text, for the field's rule.
    pub(in crate::event) fn open(self) -> &'a str {
        self.0
    }
}

impl fmt::Debug for Pii<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Pii({} bytes)", self.0.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_tells_the_length_only() {
        assert_eq!(format!("{:?}", Pii::new("\"jane@x.io\"")), "Pii(11 bytes)");
    }
}
