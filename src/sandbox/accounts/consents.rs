//! Consents: what each person granted and declined to each app.

use std::collections::{BTreeMap, BTreeSet};

use super::world::Person;

/// What one person said to one app.
#[derive(Clone, Debug, Default)]
pub(super) struct Consent {
    pub granted: BTreeSet<String>,
    pub declined: BTreeSet<String>,
}

#[derive(Debug, Default)]
pub(super) struct Consents(BTreeMap<(String, String), Consent>);

impl Consents {
    /// What the person said to the app; what the world says until something else was said.
    pub(super) fn of(&mut self, person: &Person, app: &str) -> &mut Consent {
        let key = (person.id.clone(), app.to_owned());
        self.0.entry(key).or_insert_with(|| Consent {
            granted: person.granted.iter().cloned().collect(),
            declined: person.declined.iter().cloned().collect(),
        })
    }
}
