//! Which fields of `user_data` an event has.

use super::field;

/// A set of fields of `user_data`, by what was written, not by what was sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MatchKeys(pub(super) u64);

impl MatchKeys {
    /// Their names, such as `em`, in the order of the table.
    pub fn names(self) -> impl Iterator<Item = &'static str> {
        let fields = (0..field::FIELD_COUNT).filter(move |index| self.0 & (1 << index) != 0);
        fields.filter_map(|index| field::at(index).map(|field| field.key))
    }
}
