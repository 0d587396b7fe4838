//! The command tree, one verb a file.

pub mod config;
pub mod journal;
pub mod sandbox;
