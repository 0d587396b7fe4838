//! Why Meta's figures could not be read, and what to do next.

use serde::Serialize;

use crate::graph::Text;
use crate::graph::oauth::{Context, OauthError, lacking_scopes};
use crate::lanes::snapshot::HoldSnapshot;

/// Why there are no figures.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(in crate::app::admin) struct Trouble {
    /// A stable word: of the catalogue of Meta's errors, if it gave one.
    pub(in crate::app::admin) code: &'static str,
    pub(in crate::app::admin) says: String,
    pub(in crate::app::admin) next: String,
    /// Meta's code and subcode, such as `100/2044055`.
    pub(in crate::app::admin) meta_code: Option<String>,
    /// Meta's own words.
    pub(in crate::app::admin) words: Option<Text>,
    /// What to give to Meta's support.
    pub(in crate::app::admin) trace_id: Option<String>,
}

impl Trouble {
    fn told(code: &'static str, says: impl Into<String>, next: impl Into<String>) -> Box<Self> {
        Box::new(Self {
            code,
            says: says.into(),
            next: next.into(),
            meta_code: None,
            words: None,
            trace_id: None,
        })
    }

    /// What Meta's answer means, or the lack of one, for a token with these scopes, as far as they are
    /// known.
    pub(super) fn of(error: &OauthError, scopes: &[String]) -> Box<Self> {
        let row = error.explain(Context::DatasetQuality);
        let is_denied = matches!(
            row.slug,
            "dataset-quality-denied" | "dataset-quality-permission"
        );
        let lacks = match lacking_scopes(scopes) {
            _ if !is_denied || scopes.is_empty() => String::new(),
            // what it has is Meta's own answer, so it is no guess
            Some(lacks) => format!(" It lacks {lacks}; it has {}.", scopes.join(", ")),
            None => {
                " It has the scopes, so its system user or person may lack the dataset.".to_owned()
            }
        };
        let says = format!("{}{lacks}", sentence(row.title, row.says));
        let mut trouble = Self::told(row.slug, says, row.next);
        if let Some(meta) = error.meta() {
            trouble.meta_code = Some(meta.to_string());
            trouble.words.clone_from(&meta.message);
            trouble.trace_id = meta.trace_id.as_ref().map(ToString::to_string);
        }
        trouble
    }

    pub(super) fn no_token() -> Box<Self> {
        Self::told(
            "no_token",
            "There is no token to ask with.",
            "Hand one over with `capigate token add --pixel ID`.",
        )
    }

    pub(super) fn refused() -> Box<Self> {
        Self::told(
            "token_refused",
            "Meta has refused the token, so it is not asked with it.",
            "Look at it with `capigate token inspect`, then put a valid one in its place with `capigate token rotate`.",
        )
    }

    /// Something that its events, too, have to wait for.
    pub(super) fn held(hold: &HoldSnapshot) -> Box<Self> {
        Self::told(
            hold.state,
            format!("{} is {}, so Meta is asked nothing.", hold.id, hold.state),
            format!("First of all: {}.", hold.advice),
        )
    }

    pub(super) fn paced() -> Box<Self> {
        Self::told(
            "paced",
            "Meta was asked about many pixels in the last minute.",
            "Look again in a minute: what is read here is never to take the room of events.",
        )
    }

    pub(super) fn offline() -> Box<Self> {
        Self::told(
            "offline",
            "No gateway runs here, so there is nothing to ask Meta with.",
            "Ask the admin listener of a running gateway.",
        )
    }
}

fn sentence(title: &str, says: &str) -> String {
    let mut letters = title.chars();
    let first = letters.next().map(|first| first.to_uppercase().to_string());
    format!("{}{}. {says}", first.unwrap_or_default(), letters.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::oauth::{MetaError, Unreachable};

    #[test]
    fn it_says_what_the_token_lacks() {
        let denied = OauthError::Meta(Box::new(MetaError {
            status: 400,
            code: 10,
            subcode: None,
            kind: None,
            message: None,
            user_title: None,
            user_message: None,
            transient: false,
            trace_id: None,
            class: None,
            retry_after: None,
        }));
        let scopes = ["ads_management".to_owned()];
        let trouble = Trouble::of(&denied, &scopes);
        assert_eq!(trouble.meta_code.as_deref(), Some("10"));
        assert!(
            trouble
                .says
                .starts_with("The token may not read dataset quality. ")
        );
        assert!(
            trouble
                .says
                .ends_with("It lacks ads_read; it has ads_management.")
        );
        assert!(trouble.next.contains("Events Manager"), "{}", trouble.next);
        // nothing is known of what it has
        assert!(!Trouble::of(&denied, &[]).says.contains("It lacks ads_read"));
        let all = ["read_ads_dataset_quality".to_owned()];
        assert!(
            Trouble::of(&denied, &all)
                .says
                .contains("may lack the dataset")
        );
        let gone = OauthError::Unreachable(Unreachable::Timeout);
        let trouble = Trouble::of(&gone, &scopes);
        assert_eq!((trouble.code, trouble.meta_code), ("unreachable", None));
    }
}
