//! The files of a chunk by their names.

/// What a chunk's files are called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part {
    /// Lines of JSON.
    Lines,
    /// Entries as they came.
    Head,
    /// Entries as they are being sorted.
    New,
    /// Entries sorted.
    Ids,
}

pub(super) const PARTS: [(Part, &str); 4] = [
    (Part::Lines, "lines"),
    (Part::Head, "head"),
    (Part::New, "new"),
    (Part::Ids, "ids"),
];

pub(super) fn parse_name(name: &str) -> Option<(u64, Part)> {
    let (number, ending) = name.split_once('.')?;
    let (part, _) = PARTS.iter().find(|(_, known)| *known == ending)?;
    Some((number.parse().ok()?, *part))
}
