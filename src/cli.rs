//! The command tree.

pub mod journal;
