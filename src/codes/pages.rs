//! Meta's pages that rules come from.

/// How requests are made: limits of a batch, tokens, test events.
pub(super) const USING: &str =
    "https://developers.facebook.com/documentation/ads-commerce/conversions-api/using-the-api";
/// Members beside the events.
pub(super) const MAIN_BODY: &str = "https://developers.facebook.com/documentation/ads-commerce/conversions-api/parameters/main-body";
/// Members of an event.
pub(super) const SERVER_EVENT: &str = "https://developers.facebook.com/documentation/ads-commerce/conversions-api/parameters/server-event";
/// Fields of `user_data`.
pub(super) const CUSTOMER: &str = "https://developers.facebook.com/documentation/ads-commerce/conversions-api/parameters/customer-information-parameters";
/// Fields of `custom_data`.
pub(super) const CUSTOM_DATA: &str = "https://developers.facebook.com/documentation/ads-commerce/conversions-api/parameters/custom-data";
/// Events of apps, and `extinfo`.
pub(super) const APP_EVENTS: &str =
    "https://developers.facebook.com/documentation/ads-commerce/conversions-api/app-events";
/// Events of messaging channels.
pub(super) const MESSAGING: &str =
    "https://developers.facebook.com/documentation/ads-commerce/conversions-api/business-messaging";
/// How Meta drops the second of two.
pub(super) const DEDUPLICATION: &str = "https://developers.facebook.com/documentation/ads-commerce/conversions-api/deduplicate-pixel-and-server-events";
/// Several calls in one request.
pub(super) const BATCH: &str = "https://developers.facebook.com/docs/graph-api/batch-requests";
