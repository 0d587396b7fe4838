//! `appsecret_proof`: plain, or with the time it was made at.

use aws_lc_rs::hmac;

use crate::sandbox::refusal::{self as no, Refusal};

/// How long a timed proof is good, in seconds, either way of now.
pub const PROOF_LIFETIME_SECS: i64 = 300;

/// What a call said to prove that it knows the app secret.
#[derive(Clone, Copy, Default)]
pub(in crate::sandbox) struct Proof<'a> {
    pub value: Option<&'a str>,
    /// `appsecret_time`, which makes it a timed one.
    pub time: Option<&'a str>,
}

impl Proof<'_> {
    /// Whether it fits the token; a proof that is there is looked at also when none is required.
    pub(in crate::sandbox) fn check(
        self,
        secret: &str,
        token: &str,
        required: bool,
        now: i64,
    ) -> Result<(), &'static Refusal> {
        let Some(given) = self.value else {
            return if required {
                Err(&no::PROOF_MISSING)
            } else {
                Ok(())
            };
        };
        let expected = match self.time {
            None => sign(secret, token),
            Some(time) => {
                let at: i64 = time.parse().map_err(|_| &no::PROOF_WRONG)?;
                if now.abs_diff(at) > PROOF_LIFETIME_SECS.unsigned_abs() {
                    return Err(&no::PROOF_STALE);
                }
                sign(secret, &format!("{token}|{at}"))
            }
        };
        if given == expected {
            Ok(())
        } else {
            Err(&no::PROOF_WRONG)
        }
    }
}

/// Lower-case hex of HMAC-SHA256, keyed with the app secret.
pub(super) fn sign(secret: &str, message: &str) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
    hex::encode(hmac::sign(&key, message.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &str = "0123456789abcdef0123456789abcdef";
    const TOKEN: &str = "EAAtestTokenForVectorsOnly";
    const PLAIN: &str = "410b7eca1761a5849d491b633f8f9ebca1f12d5cbf69d61ee4971d2fb1069b3b";
    const TIMED: &str = "e20b1069d8af5f08a7c69f25c3d599c51324b1ca652f2105cb13ef7113b50c30";
    const AT: i64 = 1_767_225_600;

    #[test]
    fn the_proof_is_the_known_one() {
        assert_eq!(
            sign("app-secret-example", "access-token-example"),
            "a07d8938fd56e73319dae7552f1e35da10c36d6d2f326529ab50393f6943e8c7"
        );
    }

    #[test]
    fn plain_and_timed_proofs() {
        let at = AT.to_string();
        let at = Some(at.as_str());
        let early = (AT - 1).to_string();
        let cases = [
            (None, None, true, AT, Err("proof_missing")),
            (None, None, false, AT, Ok(())),
            (Some(PLAIN), None, true, AT, Ok(())),
            (Some(PLAIN), None, false, AT + 1_000_000, Ok(())),
            (Some(TIMED), at, true, AT, Ok(())),
            (Some(TIMED), at, true, AT + 300, Ok(())),
            (Some(TIMED), at, true, AT + 301, Err("proof_stale")),
            (Some(TIMED), at, true, AT - 301, Err("proof_stale")),
            (Some(TIMED), None, false, AT, Err("proof_wrong")),
            (Some(PLAIN), at, false, AT, Err("proof_wrong")),
            (
                Some(TIMED),
                Some(early.as_str()),
                false,
                AT,
                Err("proof_wrong"),
            ),
            (Some(TIMED), Some("soon"), false, AT, Err("proof_wrong")),
            (Some("x"), None, false, AT, Err("proof_wrong")),
        ];
        for (value, time, required, now, expected) in cases {
            let proof = Proof { value, time };
            let seen = proof.check(SECRET, TOKEN, required, now);
            assert_eq!(seen.map_err(|row| row.reason), expected, "{time:?} {now}");
        }
    }
}
