//! What an event is, and its only way from raw to hashed.

pub mod encoded;

pub use encoded::EncodedEvent;
