//! Joins encoded events into the body of one request.

use aws_lc_rs::hmac;

use crate::event::EncodedEvent;
use crate::secret::Secret;

/// What stands beside `data` in the body.
#[derive(Clone, Copy, Debug)]
pub struct Members<'a> {
    /// Request options as a JSON object (`{"test_event_code":"TEST123"}`); empty for none.
    pub options: &'a [u8],
    /// The token, when it travels in the body.
    pub token: Option<&'a Secret>,
    /// The proof that the sender knows the app secret, as lower-case hex.
    pub proof: Option<&'a str>,
}

/// `{"data":[…],…}`: the stored bytes of each event, joined with commas, then the members.
pub fn body<'a>(
    events: impl Iterator<Item = &'a EncodedEvent> + Clone,
    members: Members<'_>,
) -> Vec<u8> {
    let size: usize = events.clone().map(|event| event.as_bytes().len() + 1).sum();
    let mut body = Vec::with_capacity(size + members.options.len() + 512);
    body.extend_from_slice(b"{\"data\":[");
    for (index, event) in events.enumerate() {
        if index > 0 {
            body.push(b',');
        }
        body.extend_from_slice(event.as_bytes());
    }
    body.push(b']');
    if let Some(inner) = members
        .options
        .strip_prefix(b"{")
        .and_then(|rest| rest.strip_suffix(b"}"))
        .filter(|inner| !inner.is_empty())
    {
        body.push(b',');
        body.extend_from_slice(inner);
    }
    if let Some(token) = members.token {
        push_member(&mut body, "access_token", token.expose());
    }
    if let Some(proof) = members.proof {
        push_member(&mut body, "appsecret_proof", proof);
    }
    body.push(b'}');
    body
}

/// Graph's `appsecret_proof`: lower-case hex of HMAC-SHA256 with the app secret as key and the
/// access token as message (Meta's "Secure Graph API calls").
pub fn proof(app_secret: &Secret, token: &Secret) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA256, app_secret.expose().as_bytes());
    hex::encode(hmac::sign(&key, token.expose().as_bytes()).as_ref())
}

fn push_member(body: &mut Vec<u8>, key: &str, value: &str) {
    body.extend_from_slice(b",\"");
    body.extend_from_slice(key.as_bytes());
    body.extend_from_slice(b"\":");
    let value = serde_json::Value::from(value).to_string();
    body.extend_from_slice(value.as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn event(json: &'static str) -> EncodedEvent {
        EncodedEvent::from_record(bytes::Bytes::from_static(json.as_bytes()))
    }

    fn joined(events: &[EncodedEvent], members: Members<'_>) -> Value {
        serde_json::from_slice(&body(events.iter(), members)).unwrap()
    }

    #[test]
    fn events_go_out_byte_for_byte() {
        let events = [
            event(r#"{"value":1.10}"#),
            event(r#"{"lead_id":12345678901234567}"#),
        ];
        let none = Members {
            options: b"",
            token: None,
            proof: None,
        };
        let body = body(events.iter(), none);
        assert_eq!(
            body,
            br#"{"data":[{"value":1.10},{"lead_id":12345678901234567}]}"#
        );
    }

    #[test]
    fn members_stand_beside_data() {
        let token = Secret::new("to\"ken".to_owned());
        let members = Members {
            options: br#"{"test_event_code":"TEST1"}"#,
            token: Some(&token),
            proof: Some("ab"),
        };
        assert_eq!(
            joined(&[event("{}")], members),
            json!({"data": [{}], "test_event_code": "TEST1", "access_token": "to\"ken", "appsecret_proof": "ab"})
        );
        let empty = Members {
            options: b"{}",
            token: None,
            proof: None,
        };
        assert_eq!(joined(&[event("{}")], empty), json!({"data": [{}]}));
    }

    #[test]
    fn the_proof_is_the_published_one() {
        let proof = proof(
            &Secret::new("app-secret-example".to_owned()),
            &Secret::new("access-token-example".to_owned()),
        );
        assert_eq!(
            proof,
            "a07d8938fd56e73319dae7552f1e35da10c36d6d2f326529ab50393f6943e8c7"
        );
    }
    #[test]
    fn a_timed_proof_is_one_of_the_token_and_the_seconds() {
        let proof = |message: &str| {
            let secret = Secret::new("0123456789abcdef0123456789abcdef".to_owned());
            proof(&secret, &Secret::new(message.to_owned()))
        };
        assert_eq!(
            proof("EAAtestTokenForVectorsOnly"),
            "410b7eca1761a5849d491b633f8f9ebca1f12d5cbf69d61ee4971d2fb1069b3b"
        );
        assert_eq!(
            proof("EAAtestTokenForVectorsOnly|1767225600"),
            "e20b1069d8af5f08a7c69f25c3d599c51324b1ca652f2105cb13ef7113b50c30"
        );
    }
}
