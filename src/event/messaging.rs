//! Events in a conversation with a business: WhatsApp, Messenger, Instagram.

use super::json;
use super::reject::EventError;
use super::user_data;
use super::work::{malformed, missing, string};
use crate::codes;

const CHANNEL: &str = "messaging_channel";

/// The only names Meta takes on these channels.
static NAMES: [&str; 14] = [
    "Purchase",
    "LeadSubmitted",
    "InitiateCheckout",
    "AddToCart",
    "ViewContent",
    "OrderCreated",
    "OrderShipped",
    "OrderDelivered",
    "OrderCanceled",
    "OrderReturned",
    "CartAbandoned",
    "QualifiedLead",
    "RatingProvided",
    "ReviewProvided",
];

/// Whether Meta wants a currency with the event of this name.
pub(super) fn is_order(name: &str) -> bool {
    name.starts_with("Order")
}

/// Refuses a name that is not on the list.
pub(super) fn check_name(name: &str) -> Result<(), EventError> {
    if NAMES.contains(&name) {
        return Ok(());
    }
    Err(EventError::new(
        codes::MESSAGING_NAME,
        "event_name",
        "must be one of the messaging event names, such as Purchase, LeadSubmitted, OrderCreated",
        "\"LeadSubmitted\"",
    ))
}

/// Reads `messaging_channel` in any case; `None` when it was not given.
pub(super) fn channel(raw: Option<&str>) -> Result<Option<&'static str>, EventError> {
    let Some(raw) = raw else {
        return Ok(None);
    };
    let Some(word) = string(raw, CHANNEL, "\"whatsapp\"")? else {
        return Ok(None);
    };
    ["whatsapp", "messenger", "instagram"]
        .into_iter()
        .find(|channel| channel.eq_ignore_ascii_case(word.trim()))
        .map(Some)
        .ok_or_else(|| {
            malformed(
                CHANNEL,
                "must be whatsapp, messenger or instagram",
                "\"whatsapp\"",
            )
        })
}

/// Refuses an event without the identifiers of its channel.
pub(super) fn check_identifiers(
    channel: Option<&str>,
    user_data: user_data::Written,
) -> Result<(), EventError> {
    let need = |keys: &[&str], path, rule| {
        if keys.iter().any(|key| user_data.has(key)) {
            Ok(())
        } else {
            Err(missing(path, rule, "\"100000000000001\""))
        }
    };
    match channel {
        Some("whatsapp") => {
            need(
                &["whatsapp_business_account_id"],
                "user_data.whatsapp_business_account_id",
                "an event on WhatsApp needs whatsapp_business_account_id and ctwa_clid",
            )?;
            need(
                &["ctwa_clid"],
                "user_data.ctwa_clid",
                "an event on WhatsApp needs whatsapp_business_account_id and ctwa_clid",
            )
        }
        Some("messenger") => {
            need(
                &["page_id"],
                "user_data.page_id",
                "an event on Messenger needs page_id and page_scoped_user_id",
            )?;
            need(
                &["page_scoped_user_id"],
                "user_data.page_scoped_user_id",
                "an event on Messenger needs page_id and page_scoped_user_id",
            )
        }
        Some(_) => {
            need(
                &["instagram_business_account_id", "ig_account_id"],
                "user_data.instagram_business_account_id",
                "an event on Instagram needs instagram_business_account_id and ig_sid",
            )?;
            need(
                &["ig_sid"],
                "user_data.ig_sid",
                "an event on Instagram needs instagram_business_account_id and ig_sid",
            )
        }
        None => Err(missing(
            CHANNEL,
            "business_messaging needs a channel: whatsapp, messenger or instagram",
            "\"whatsapp\"",
        )),
    }
}

/// Writes the channel.
pub(super) fn write(channel: &str, out: &mut Vec<u8>) {
    json::write_key(out, CHANNEL);
    json::write_text(out, channel);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn channels_are_read_in_any_case() {
        assert_eq!(channel(Some("\"WhatsApp\"")), Ok(Some("whatsapp")));
        assert_eq!(channel(Some("null")), Ok(None));
        assert_eq!(channel(None), Ok(None));
        for raw in ["\"sms\"", "\"\"", "1"] {
            assert_eq!(channel(Some(raw)).unwrap_err().path(), CHANNEL, "{raw}");
        }
    }

    #[test]
    fn names_are_a_closed_list() {
        assert!(check_name("OrderCreated").is_ok());
        for name in ["Lead", "purchase", "Custom"] {
            let error = check_name(name).unwrap_err();
            assert_eq!(error.graph_subcode(), Some(2_804_066));
        }
    }
}
