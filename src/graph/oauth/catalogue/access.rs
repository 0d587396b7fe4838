//! Errors about who asks, and about what is asked for: inspections, Pages, system users, proofs,
//! pixels, permissions.

use super::Context::{DatasetQuality, Debug, Extend, Page, Pixel, Revoke, Send, SystemUser};
use super::{Exit, Message, Row, State};

const INVALID: &[(i64, i64)] = &[(100, 100)];
const PERMISSION: &[(i64, i64)] = &[(10, 10), (200, 299)];

const DATASET_QUALITY: &str = "Generate a token for the dataset in Events Manager (Settings, Conversions API), which has read_ads_dataset_quality, or one of a system user to whom the dataset is assigned, with ads_read and one of ads_management and business_management; then: capigate token rotate";

#[rustfmt::skip]
pub(super) const ROWS: &[Row] = &[
    Row::new("proof-missing", State::Config, Exit::App).codes(INVALID).bare().message(Message::Has(&["require an appsecret_proof"])).text(
        "the proof of the app secret is missing",
        "The app demands a proof that the sender knows its secret (Require App Secret in its advanced settings), and its secret is not known here.",
        "Put the secret of the app that issued the token into the vault: capigate token app add. Or turn Require App Secret off."),
    Row::new("proof-wrong", State::Config, Exit::App).codes(INVALID).bare().message(Message::Has(&["appsecret_proof"])).text(
        "the proof of the app secret is wrong",
        "The app secret that is known here is not that of the app that issued the token, or was reset.",
        "Put the right secret into the vault: capigate token app add. For a token from Events Manager none is needed."),

    Row::new("inspector-not-allowed", State::Unchanged, Exit::App).on(&[Debug]).codes(INVALID).message(Message::Has(&["must provide an app access token"])).text(
        "this token may not inspect others",
        "Only the app itself or a token of one of its developers may inspect the app's tokens. It says nothing about the inspected token.",
        "Give the app's id and secret, and inspect again: capigate token inspect"),
    Row::new("inspected-foreign", State::Unchanged, Exit::App).on(&[Debug]).codes(INVALID).message(Message::Has(&["did not match the Viewing App"])).text(
        "the token is of another app",
        "The inspected token was issued by another app than the one that asks. It may well be good.",
        "Give the id and secret of the app that issued it, or none, so that the token inspects itself: capigate token inspect"),
    Row::new("inspector-wrong", State::Unchanged, Exit::App).on(&[Debug]).codes(&[(190, 190), (102, 102)]).text(
        "the credentials that ask are wrong",
        "Meta does not take the app id and secret, or the token, in whose name was asked. It says nothing about the inspected token.",
        "Check the app id and the app secret in the app's dashboard, App settings, Basic: capigate token inspect"),

    Row::new("page-token-withheld", State::NoPermission, Exit::Permission).on(&[Page]).text(
        "no token for this Page",
        "Meta shows the Page and leaves its token out: the person has no role on the Page, or has not allowed pages_show_list.",
        "Give the person a role on the Page, log in again and choose the Page: capigate token login, then capigate token page"),
    Row::new("page-unknown", State::NoAccess, Exit::Permission).on(&[Page]).codes(INVALID).sub(33).text(
        "no such Page for this token",
        "The id is wrong, or the person behind the token has no role on the Page; Meta does not say which.",
        "Take the Page's id from its About page, under Page transparency, or from the list of Pages: capigate token pages"),

    Row::new("pixel-unreadable", State::NoAccess, Exit::Permission).on(&[Pixel]).codes(INVALID).sub(33).text(
        "no such pixel for this token",
        "The id is wrong, or the pixel (dataset) is not assigned to the token's system user or person, or the token may not read it; Meta does not say which. A token from Events Manager may still be able to send.",
        "Check the id in Events Manager, assign the dataset under Business settings, Data sources, and make a new token, since a token keeps the assets of the day it was made: capigate token verify"),
    Row::new("pixel-unsendable", State::NoAccess, Exit::Permission).on(&[Send]).codes(INVALID).sub(33).text(
        "this token cannot send to this pixel",
        "The id is wrong, or the pixel (dataset) is not assigned to the token's system user or person; Meta does not say which.",
        "Check the id in Events Manager, assign the dataset under Business settings, Data sources, and make a new token: capigate token verify"),
    Row::new("dataset-unknown", State::Unchanged, Exit::Permission).on(&[DatasetQuality]).codes(INVALID).sub(2_044_055).text(
        "Meta knows no such dataset",
        "The id is not that of a dataset (pixel), or Meta does not show it to this token. It says nothing about sending.",
        "Compare the id with Events Manager, Data sources, and that the dataset is assigned to the token's system user: capigate token verify"),
    Row::new("dataset-unknown-bare", State::Unchanged, Exit::Permission).on(&[DatasetQuality]).codes(&[(2_044_055, 2_044_055)]).text(
        "Meta knows no such dataset",
        "The id is not that of a dataset (pixel), or Meta does not show it to this token. It says nothing about sending.",
        "Compare the id with Events Manager, Data sources, and that the dataset is assigned to the token's system user: capigate token verify"),
    Row::new("dataset-quality-unseen", State::Unchanged, Exit::Permission).on(&[DatasetQuality]).codes(INVALID).sub(33).text(
        "the dataset is not there for this token",
        "The id is wrong, or the dataset is not assigned to the token's system user or person; Meta does not say which.",
        "Assign the dataset under Business settings, Data sources, and make a new token: capigate token rotate"),
    Row::new("dataset-quality-denied", State::Unchanged, Exit::Permission).on(&[DatasetQuality]).codes(&[(3, 3), (10, 10), (200, 299)]).text(
        "the token may not read dataset quality",
        "It lacks a permission to read these figures. That says nothing about sending.",
        DATASET_QUALITY),
    Row::new("dataset-quality-permission", State::Unchanged, Exit::Permission).on(&[DatasetQuality]).codes(INVALID).bare().message(Message::Starts(&["(#100) Missing Permission"])).text(
        "the token may not read dataset quality",
        "It lacks a permission to read these figures. That says nothing about sending.",
        DATASET_QUALITY),

    Row::new("object-unknown", State::NoAccess, Exit::Permission).codes(INVALID).sub(33).text(
        "no such object for this token",
        "The id is wrong, or the token may not see the object, or the object cannot do that; Meta does not say which.",
        "Check the id, and that the object is assigned to the token's system user or person: capigate token verify"),
    Row::new("pixel-read-denied", State::Unchanged, Exit::Permission).on(&[Pixel]).codes(PERMISSION).text(
        "the token may not read the pixel",
        "It lacks the permission to read. That says nothing about sending: tokens from Events Manager can often send and not read.",
        "Nothing needs to be done if sending works: capigate token verify"),
    Row::new("field-unknown", State::Unchanged, Exit::App).on(&[Pixel]).codes(INVALID).bare().message(Message::Has(&["nonexisting field"])).text(
        "Meta does not know a field of the pixel",
        "The version of the Graph API does not have a field that was asked for.",
        "Check graph.version: capigate config check"),

    Row::new("permission-missing-100", State::NoPermission, Exit::Permission).codes(INVALID).bare().message(Message::Starts(&["(#100) Missing Permission"])).text(
        "a permission is missing",
        "The token lacks a permission that this needs.",
        "Allow it in a new login, capigate token login, or make a new system user token with it, capigate token system-user."),
    Row::new("capability-missing", State::NoPermission, Exit::Permission).codes(&[(3, 3)]).text(
        "the app lacks a capability",
        "The app is not set up for this, often because the product Marketing API was not added to it.",
        "Add Marketing API to the app in its dashboard; then make a new token: capigate token login or capigate token system-user"),
    Row::new("permission-denied", State::NoPermission, Exit::Permission).codes(&[(10, 10)]).text(
        "permission denied",
        "The token's person, system user or app may not do this, or may not any more.",
        "Ask an admin of the business for the role or the asset, then make a new token: capigate token login or capigate token system-user"),
    Row::new("permission-missing", State::NoPermission, Exit::Permission).codes(&[(200, 299)]).text(
        "a permission is missing",
        "The token lacks a permission that this needs (294: ads_management), or it was taken back.",
        "Allow it in a new login, capigate token login, or make a new system user token with it, capigate token system-user."),

    Row::new("extend-refused", State::Unchanged, Exit::App).on(&[Extend]).codes(INVALID).text(
        "the token was not extended",
        "Meta refused the exchange, and its words tell more than its code. App id and secret have to be those of the app that issued the token.",
        "See which app issued the token, capigate token inspect, and extend it with that app: capigate token extend"),
    Row::new("system-user-refused", State::Unchanged, Exit::App).on(&[SystemUser]).codes(INVALID).text(
        "refused for this system user",
        "Meta has no code of its own for these: the app is not installed for the system user, app and system user are not in the same business, a permission cannot be given to system users, or the business allows only tokens that end after 60 days. Its words tell which.",
        "Put that right under Business settings, System users, or ask for a token of 60 days: capigate token system-user"),
    Row::new("revoke-refused", State::Unchanged, Exit::App).on(&[Revoke]).codes(INVALID).text(
        "the token was not taken back",
        "App id, app secret, the token and the token in whose name it is taken back must all be of one app, and the app must not be disabled.",
        "Give the app that issued the token: capigate token revoke. Tokens from Events Manager are removed there or under Business settings, System users."),
];
