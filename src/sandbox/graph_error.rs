//! A Graph error on its way out, and how it is written.

use serde_json::{Map, Value, json};

use super::refusal::Refusal;

/// A Graph error about to be written: from the table, or from a fault.
#[derive(Clone, Debug, Default)]
pub(super) struct GraphError {
    pub status: u16,
    pub reason: &'static str,
    pub kind: &'static str,
    pub message: String,
    pub code: i64,
    pub subcode: Option<i64>,
    pub is_transient: Option<bool>,
    pub title: Option<&'static str>,
    pub detail: Option<&'static str>,
    /// Which event of the batch is to blame; Meta does not document that it says so.
    pub event_index: Option<usize>,
    /// Graph's `error_data`, where it is not about an event.
    pub error_data: Option<Value>,
}

impl GraphError {
    /// The row of the table, with the event it is about.
    pub(super) fn of(row: &'static Refusal, event_index: Option<usize>) -> Self {
        Self {
            status: row.status,
            reason: row.reason,
            kind: row.kind,
            message: row.message.to_owned(),
            code: row.code,
            subcode: row.subcode,
            // recorded answers to bad payloads carry it; those to bad tokens and paths do not
            is_transient: row.title.map(|_| false),
            title: row.title,
            detail: row.detail,
            event_index,
            error_data: None,
        }
    }

    /// The row of the table, where it is about no event; boxed, since it is large and seldom.
    pub(super) fn boxed(row: &'static Refusal) -> Box<Self> {
        Box::new(Self::of(row, None))
    }

    /// A `{token}` in the message becomes the token, as in some of Graph's own.
    pub(super) fn echo(&mut self, token: &str) {
        self.message = self.message.replace("{token}", token);
    }

    /// The body `{"error":{…}}`.
    pub(super) fn body(&self, trace: &str) -> Value {
        let mut error = Map::new();
        error.insert("message".into(), self.message.clone().into());
        error.insert("type".into(), self.kind.into());
        error.insert("code".into(), self.code.into());
        let optional = [
            ("error_subcode", self.subcode.map(Value::from)),
            ("is_transient", self.is_transient.map(Value::from)),
            ("error_user_title", self.title.map(Value::from)),
            ("error_user_msg", self.detail.map(Value::from)),
            (
                "error_data",
                self.event_index
                    .map(|index| json!({ "event_index": index }))
                    .or_else(|| self.error_data.clone()),
            ),
        ];
        for (key, value) in optional {
            if let Some(value) = value {
                error.insert(key.into(), value);
            }
        }
        error.insert("fbtrace_id".into(), trace.into());
        json!({ "error": error })
    }
}

#[cfg(test)]
mod tests {
    use super::super::refusal as no;
    use super::*;

    #[test]
    fn a_recorded_answer_is_written_as_recorded() {
        let body = GraphError::of(&no::PURCHASE_VALUE, None).body("T1");
        let expected = json!({"error": {
            "message": "Invalid parameter", "type": "OAuthException", "code": 100,
            "error_subcode": 2_804_009, "is_transient": false,
            "error_user_title": "Missing Value for Purchase Event",
            "error_user_msg": "a Purchase needs custom_data.value", "fbtrace_id": "T1",
        }});
        assert_eq!(body, expected);
        let body = GraphError::of(&no::TOKEN_UNKNOWN, None).body("T2");
        let expected = json!({"error": {
            "message": "Invalid OAuth access token - Cannot parse access token",
            "type": "OAuthException", "code": 190, "fbtrace_id": "T2",
        }});
        assert_eq!(body, expected);
    }
}
