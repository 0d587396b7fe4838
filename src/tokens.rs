//! Keeps access tokens, and knows which of them a pixel's events travel with.
//!
//! **Promises.** Tokens and app secrets lie in one sealed file ([`vault`]) or where the
//! configuration points to, and in memory that is wiped; nothing here prints one. When Graph
//! refuses a pixel's token, the pixel goes on with the next one at once ([`live`]). A change of the
//! vault by another process is taken over as any change of a file is.
//! **Refuses.** To write over a vault it cannot read.
//! **Limits.** [`vault::MAX_FILE`]; three slots a pixel ([`contents`]).
//!
#![doc = include_str!("tokens/matrix.md")]

pub mod contents;
pub mod credential;
pub mod facts;
pub mod key;
pub mod live;
pub mod notes;
pub mod paste;
mod seal;
pub mod usage;
pub mod vault;

pub use contents::{
    AppRecord, ChangeError, Contents, Name, NameError, Obtained, Slot, Slots, TokenRecord,
};
pub use credential::{AppKey, Credential, TokenKey};
pub use facts::{Expiry, Facts, Kind, State, Target};
pub use live::{Candidates, Refused, Tokens};
pub use notes::{Note, Notes};
pub use seal::{SealError, UnsealError};
pub use usage::{LastError, Usage};
pub use vault::{Vault, VaultError};
