//! Reading worlds and requests without repeating what was in them: it may be a token.

use super::check::WorldError;
use super::world::World;

/// Beginnings of texts that are wholly ours, or serde's about what is not there.
const PLAIN: [&str; 3] = ["missing field", "a length of time", "a pixel id"];

impl World {
    /// A world from TOML.
    ///
    /// # Errors
    ///
    /// The text is not that of a world, or the world does not hold together.
    pub fn from_toml(text: &str) -> Result<Self, WorldError> {
        let world: Self = toml::from_str(text).map_err(|error| {
            let at = error.span().map_or(0, |span| span.start);
            let before = text.bytes().take(at);
            WorldError::Text {
                line: before.filter(|&byte| byte == b'\n').count() + 1,
                said: expected(error.message(), "this is no TOML of a world"),
            }
        })?;
        world.check()?;
        Ok(world)
    }

    /// A world from JSON.
    ///
    /// # Errors
    ///
    /// As [`World::from_toml`].
    pub fn from_json(text: &str) -> Result<Self, WorldError> {
        let world: Self = serde_json::from_str(text).map_err(|error| WorldError::Text {
            line: error.line(),
            said: expected(&error.to_string(), "this is no JSON of a world"),
        })?;
        world.check()?;
        Ok(world)
    }
}

/// What was expected, of a text of serde that may repeat what was found.
pub(super) fn expected(message: &str, otherwise: &str) -> String {
    if PLAIN.iter().any(|start| message.starts_with(start)) {
        return message.to_owned();
    }
    match message.rsplit_once(", expected ") {
        Some((_, expected)) => format!("expected {expected}"),
        None => otherwise.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_says_where_and_what_but_not_the_value() {
        let cases = [
            ("pixels = 'canary'", 1, "expected a sequence"),
            ("\n[[apps]]\nsecret = 'canary'", 2, "missing field `id`"),
            ("[[tokens]]\nstate = 'canary'", 2, "expected one of `valid`"),
            ("[[tokens]]\nexpires_in = 'canary'", 2, "a length of time"),
            ("code_lifetime = 'canary'", 1, "a length of time"),
            ("canary", 1, "expected `=`"),
            ("canary = 1", 1, "expected one of `apps`"),
        ];
        for (text, line, start) in cases {
            let error = World::from_toml(text).unwrap_err();
            let WorldError::Text { line: at, said } = &error else {
                panic!("{error}");
            };
            assert_eq!(*at, line, "{text}");
            assert!(said.starts_with(start), "{said}");
            assert!(!error.to_string().contains("canary"));
        }
        let error = World::from_json(r#"{"pixels":"canary"}"#).unwrap_err();
        assert!(!error.to_string().contains("canary"), "{error}");
        assert!(World::from_json("{}").is_ok());
    }
}
