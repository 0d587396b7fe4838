//! What a gateway is for, as an argument.

use clap::ValueEnum;

use crate::app::Profile;

/// What a gateway is for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum ProfileArg {
    /// Trying out
    #[default]
    Development,
    /// Real events
    Production,
}

impl From<ProfileArg> for Profile {
    fn from(arg: ProfileArg) -> Self {
        match arg {
            ProfileArg::Development => Self::Development,
            ProfileArg::Production => Self::Production,
        }
    }
}
