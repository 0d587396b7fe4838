//! `capigate journal`: what is in the journal's files.
