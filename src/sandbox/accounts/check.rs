//! Whether a world holds together.

use std::collections::BTreeSet;

use url::Url;

use super::world::World;

/// Why a world cannot be used. It says where, never a value.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WorldError {
    /// An id that is not one.
    #[error("{0} is 1 to 20 decimal digits, such as \"1000000000000001\"")]
    Id(String),
    /// Two things with one id.
    #[error("{0} is the id of something else already; give each its own")]
    Twice(String),
    /// Something is named that is not there.
    #[error("{0} names what is not in the world; add it, or mend the id")]
    Unknown(String),
    /// An app without a secret.
    #[error(
        "{0} is empty; make one up, 32 hex digits such as \"0123456789abcdef0123456789abcdef\""
    )]
    Secret(String),
    /// A redirect URI that is no URL.
    #[error("{0} is an absolute URL such as \"https://gate.example/callback\"")]
    RedirectUri(String),
    /// Two tokens of one value.
    #[error("the token {0} has the value of another one; give each its own")]
    Token(String),
    /// The text is not that of a world.
    #[error("line {line}: {said}")]
    Text {
        /// The line, from 1.
        line: usize,
        /// What was expected there, without what was found.
        said: String,
    },
}

impl WorldError {
    /// A stable word.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Id(_) => "id",
            Self::Twice(_) => "twice",
            Self::Unknown(_) => "unknown",
            Self::Secret(_) => "secret",
            Self::RedirectUri(_) => "redirect_uri",
            Self::Token(_) => "token",
            Self::Text { .. } => "text",
        }
    }
}

impl World {
    /// Whether every id is one, is used once, and names what is there.
    ///
    /// # Errors
    ///
    /// The first thing that is wrong, with its place.
    pub fn check(&self) -> Result<(), WorldError> {
        self.ids()?;
        for (n, app) in self.apps.iter().enumerate() {
            if app.secret.is_empty() {
                return Err(WorldError::Secret(format!("apps[{n}].secret")));
            }
            for (m, uri) in app.redirect_uris.iter().enumerate() {
                if Url::parse(uri).is_err() {
                    let place = format!("apps[{n}].redirect_uris[{m}]");
                    return Err(WorldError::RedirectUri(place));
                }
            }
        }
        let mut wrong = self.references();
        wrong.retain(|(_, found)| !found);
        match wrong.into_iter().next() {
            Some((place, _)) => Err(WorldError::Unknown(place)),
            None => Ok(()),
        }
    }

    fn ids(&self) -> Result<(), WorldError> {
        let mut seen = BTreeSet::new();
        let lists: [(&str, Vec<String>); 6] = [
            ("apps", self.apps.iter().map(|app| app.id.clone()).collect()),
            ("people", self.people.iter().map(|p| p.id.clone()).collect()),
            ("pages", self.pages.iter().map(|p| p.id.clone()).collect()),
            (
                "businesses",
                self.businesses.iter().map(|b| b.id.clone()).collect(),
            ),
            (
                "system_users",
                self.system_users.iter().map(|u| u.id.clone()).collect(),
            ),
            (
                "pixels",
                self.pixels.iter().map(|p| p.id.to_string()).collect(),
            ),
        ];
        for (list, ids) in lists {
            for (n, id) in ids.into_iter().enumerate() {
                let place = format!("{list}[{n}].id");
                if !is_id(&id) {
                    return Err(WorldError::Id(place));
                }
                if !seen.insert(id) {
                    return Err(WorldError::Twice(place));
                }
            }
        }
        Ok(())
    }

    /// Every place that names something, and whether that is there.
    fn references(&self) -> Vec<(String, bool)> {
        let mut found = Vec::new();
        let business = |id: &str| self.business(id).is_some();
        for (n, app) in self.apps.iter().enumerate() {
            if let Some(id) = &app.business {
                found.push((format!("apps[{n}].business"), business(id)));
            }
            for (m, id) in app.developers.iter().enumerate() {
                let there = self.person(id).is_some() || self.system_user(id).is_some();
                found.push((format!("apps[{n}].developers[{m}]"), there));
            }
            for (m, config) in app.configs.iter().enumerate() {
                if let Some(id) = &config.system_user {
                    let place = format!("apps[{n}].configs[{m}].system_user");
                    found.push((place, self.system_user(id).is_some()));
                }
            }
        }
        for (n, person) in self.people.iter().enumerate() {
            for (m, role) in person.pages.iter().enumerate() {
                let place = format!("people[{n}].pages[{m}].id");
                found.push((place, self.page(&role.id).is_some()));
            }
            for (m, id) in person.businesses.iter().enumerate() {
                found.push((format!("people[{n}].businesses[{m}]"), business(id)));
            }
            for (m, id) in person.pixels.iter().enumerate() {
                found.push((format!("people[{n}].pixels[{m}]"), self.has_pixel(*id)));
            }
        }
        for (n, user) in self.system_users.iter().enumerate() {
            let place = format!("system_users[{n}].business");
            found.push((place, business(&user.business)));
            for (m, id) in user.apps.iter().enumerate() {
                let place = format!("system_users[{n}].apps[{m}]");
                found.push((place, self.app(id).is_some()));
            }
            for (m, id) in user.pixels.iter().enumerate() {
                let place = format!("system_users[{n}].pixels[{m}]");
                found.push((place, self.has_pixel(*id)));
            }
        }
        for (n, pixel) in self.pixels.iter().enumerate() {
            if let Some(id) = &pixel.business {
                found.push((format!("pixels[{n}].business"), business(id)));
            }
        }
        if let Some(id) = &self.dialog.person {
            found.push(("dialog.person".to_owned(), self.person(id).is_some()));
        }
        found
    }
}

/// Whether this is an id as Meta's are: digits, the first of them not 0.
pub(super) fn is_id(text: &str) -> bool {
    (1..=20).contains(&text.len())
        && text.bytes().all(|b| b.is_ascii_digit())
        && !text.starts_with('0')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_hold_together_is_named_by_its_place() {
        let app = "[[apps]]\nid='1'\nname='a'\nsecret='s'\n";
        let cases = [
            ("", None),
            (app, None),
            ("[[pages]]\nid='x'\nname='p'", Some("pages[0].id")),
            (
                "[[pages]]\nid='1'\nname='p'\n[[people]]\nid='1'\nname='q'",
                Some("pages[0].id"),
            ),
            (
                "[[apps]]\nid='1'\nname='a'\nsecret=''",
                Some("apps[0].secret"),
            ),
            (
                "[[apps]]\nid='1'\nname='a'\nsecret='s'\nredirect_uris=['here']",
                Some("apps[0].redirect_uris[0]"),
            ),
            (
                "[[people]]\nid='1'\nname='q'\n[[people.pages]]\nid='5'",
                Some("people[0].pages[0].id"),
            ),
            (
                "[[system_users]]\nid='1'\nname='q'\nbusiness='5'",
                Some("system_users[0].business"),
            ),
            ("[dialog]\nperson='5'", Some("dialog.person")),
        ];
        for (text, place) in cases {
            let world: World = toml::from_str(text).unwrap();
            let said = world.check().err().map(|error| error.to_string());
            match place {
                None => assert_eq!(said, None, "{text}"),
                Some(place) => assert!(said.unwrap().starts_with(place), "{text}"),
            }
        }
    }

    #[test]
    fn ids() {
        for good in ["1", "1234567890123456", "12345678901234567890"] {
            assert!(is_id(good), "{good}");
        }
        for bad in ["", "0", "012", "12a", "123456789012345678901"] {
            assert!(!is_id(bad), "{bad}");
        }
    }
}
