//! The names that columns of a CSV file may have, and what their cells are.
//!
//! Graph's own keys, the names of Meta's templates for offline events, and what shop systems
//! commonly write. Case, blanks and hyphens are forgiven.

/// What a cell is read as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Any text.
    Text,
    /// A decimal number with a point.
    Number,
    /// A whole number.
    Whole,
    /// A moment, sent as Unix seconds.
    Time,
    /// Yes or no.
    Flag,
    /// A text; several columns, or a JSON array, make a list.
    Texts,
    /// A list of ids: a JSON array, or ids with a comma, a semicolon or a bar between them.
    Ids,
    /// A list or an object as JSON text.
    Json,
}

impl Kind {
    /// Whether it is a list of several values.
    pub(super) fn is_list(self) -> bool {
        matches!(self, Self::Texts | Self::Ids)
    }
}

/// Where a column goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Target {
    /// `user_data`, `custom_data`, `app_data`, or empty for the event itself.
    pub(super) section: &'static str,
    /// The key in it.
    pub(super) key: String,
    pub(super) kind: Kind,
}

impl Target {
    /// Such as `user_data.em`.
    pub(super) fn path(&self) -> String {
        match self.section {
            "" => self.key.clone(),
            section => format!("{section}.{}", self.key),
        }
    }

    /// Whether several columns may go there.
    pub(super) fn is_list(&self) -> bool {
        self.kind.is_list()
    }
}

type Row = (&'static str, Kind, &'static [&'static str]);

use Kind::{Flag, Ids, Json, Number, Text, Texts, Time, Whole};

#[rustfmt::skip]
static EVENT: &[Row] = &[
    ("event_name", Text, &["event"]),
    ("event_time", Time, &["timestamp"]),
    ("event_id", Text, &[]),
    ("action_source", Text, &[]),
    ("event_source_url", Text, &[]),
    ("referrer_url", Text, &[]),
    ("opt_out", Flag, &[]),
    ("messaging_channel", Text, &[]),
    ("data_processing_options", Ids, &[]),
    ("data_processing_options_country", Whole, &[]),
    ("data_processing_options_state", Whole, &[]),
];

#[rustfmt::skip]
static USER: &[Row] = &[
    ("em", Texts, &["email", "e_mail", "emails", "email_address", "mail"]),
    ("ph", Texts, &["phone", "phones", "phone_number", "telephone", "mobile", "mobile_phone"]),
    ("fn", Texts, &["first_name", "firstname", "given_name"]),
    ("ln", Texts, &["last_name", "lastname", "surname", "family_name"]),
    ("ct", Texts, &["city", "town"]),
    ("st", Texts, &["state", "province", "region"]),
    ("zp", Texts, &["zip", "zip_code", "zipcode", "postal_code", "postcode"]),
    ("country", Texts, &["country_code"]),
    ("db", Texts, &["dob", "date_of_birth", "birth_date", "birthdate", "birthday"]),
    ("ge", Texts, &["gen", "gender"]),
    ("external_id", Texts, &["uid", "external_ids", "customer_id"]),
    ("client_ip_address", Text, &["client_ip", "ip_address", "ip"]),
    ("client_user_agent", Text, &["user_agent"]),
    ("fbc", Text, &[]),
    ("fbp", Text, &[]),
    ("madid", Text, &[]),
    ("anon_id", Text, &[]),
    ("lead_id", Whole, &["leadid"]),
    ("fb_login_id", Whole, &[]),
    ("subscription_id", Text, &[]),
    ("ctwa_clid", Text, &[]),
    ("page_id", Text, &[]),
    ("page_scoped_user_id", Text, &[]),
    ("whatsapp_business_account_id", Text, &[]),
    ("instagram_business_account_id", Text, &[]),
    ("ig_account_id", Text, &[]),
    ("ig_sid", Text, &[]),
    ("f5first", Text, &[]),
    ("f5last", Text, &[]),
    ("fi", Text, &[]),
    ("dobd", Text, &[]),
    ("dobm", Text, &[]),
    ("doby", Text, &[]),
    ("app_user_id", Text, &[]),
    ("partner_id", Text, &[]),
    ("partner_name", Text, &[]),
];

#[rustfmt::skip]
static CUSTOM: &[Row] = &[
    ("value", Number, &["amount", "order_value"]),
    ("currency", Text, &["currency_code"]),
    ("order_id", Text, &["order", "order_number"]),
    ("item_number", Text, &[]),
    ("content_ids", Ids, &["content_id", "product_ids", "skus"]),
    ("contents", Json, &[]),
    ("content_type", Text, &[]),
    ("content_name", Text, &[]),
    ("content_category", Text, &[]),
    ("num_items", Whole, &[]),
    ("search_string", Text, &[]),
    ("status", Text, &[]),
    ("predicted_ltv", Number, &[]),
    ("net_revenue", Number, &[]),
    ("delivery_category", Text, &[]),
    ("customer_segmentation", Text, &[]),
];

#[rustfmt::skip]
static APP: &[Row] = &[
    ("advertiser_tracking_enabled", Whole, &[]),
    ("application_tracking_enabled", Whole, &[]),
    ("extinfo", Json, &[]),
];

static SECTIONS: [(&str, &[Row]); 4] = [
    ("", EVENT),
    ("user_data", USER),
    ("custom_data", CUSTOM),
    ("app_data", APP),
];

/// The target a header names: a key, one of its other names, a path such as `custom_data.value`,
/// or a list's name with a number, such as `em_2`.
pub(super) fn by_header(header: &str) -> Option<Target> {
    if let Some(target) = by_path(header) {
        return Some(target);
    }
    let name = canonical(header);
    by_name(&name).or_else(|| {
        let bare = name.trim_end_matches(|c: char| c.is_ascii_digit());
        let bare = bare.strip_suffix('_').unwrap_or(bare);
        by_name(bare).filter(|target| bare.len() < name.len() && target.is_list())
    })
}

/// The target of a path such as `user_data.em`, `custom_data.anything` or `event_name`.
pub(super) fn by_path(path: &str) -> Option<Target> {
    let path = path.trim();
    let Some((section, key)) = path.split_once('.') else {
        let name = canonical(path);
        return find(EVENT, &name).map(|(key, kind)| target("", key, kind));
    };
    let section = canonical(section);
    let (section, rows) = *SECTIONS.iter().find(|(name, _)| *name == section)?;
    let name = canonical(key);
    let known = find(rows, &name).or_else(|| {
        let bare = name.trim_end_matches(|c: char| c.is_ascii_digit());
        let bare = bare.strip_suffix('_').filter(|_| bare.len() < name.len())?;
        find(rows, bare).filter(|(_, kind)| *kind == Texts)
    });
    if let Some((key, kind)) = known {
        return Some(target(section, key, kind));
    }
    // whoever writes the section says that it is no personal data
    let is_open = matches!(section, "custom_data" | "app_data");
    (is_open && is_key(key)).then(|| target(section, key, Text))
}

fn by_name(name: &str) -> Option<Target> {
    SECTIONS
        .iter()
        .find_map(|(section, rows)| find(rows, name).map(|(key, kind)| target(section, key, kind)))
}

fn find(rows: &[Row], name: &str) -> Option<(&'static str, Kind)> {
    let row = rows
        .iter()
        .find(|(key, _, others)| *key == name || others.contains(&name))?;
    Some((row.0, row.1))
}

fn target(section: &'static str, key: &str, kind: Kind) -> Target {
    Target {
        section,
        key: key.to_owned(),
        kind,
    }
}

fn is_key(key: &str) -> bool {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
    let starts = |c: char| c.is_ascii_alphabetic() || c == '_';
    key.len() <= 64 && key.starts_with(starts) && key.bytes().all(plain)
}

fn canonical(text: &str) -> String {
    let words = text.split(|c: char| c.is_whitespace() || c == '-' || c == '_');
    let words: Vec<String> = words
        .filter(|word| !word.is_empty())
        .map(str::to_lowercase)
        .collect();
    words.join("_")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_are_understood_in_many_spellings() {
        for (header, path) in [
            ("event_name", "event_name"),
            ("Event Name", "event_name"),
            ("em", "user_data.em"),
            ("E-Mail", "user_data.em"),
            ("email_1", "user_data.em"),
            ("Email 2", "user_data.em"),
            ("user_data.em_3", "user_data.em"),
            ("phone2", "user_data.ph"),
            ("USER_DATA.PH", "user_data.ph"),
            ("f5first", "user_data.f5first"),
            ("Order ID", "custom_data.order_id"),
            ("custom_data.value", "custom_data.value"),
            ("custom_data.storeName", "custom_data.storeName"),
            ("app_data.extinfo", "app_data.extinfo"),
            ("item number", "custom_data.item_number"),
        ] {
            let found = by_header(header).map(|target| target.path());
            assert_eq!(found.as_deref(), Some(path), "{header}");
        }
        for strange in [
            "",
            "shoe size",
            "user_data.shoe_size",
            "custom_data.",
            "custom_data.jane@example.com",
            "value_2",
            "other.value",
            "jane@example.com",
        ] {
            assert_eq!(by_header(strange), None, "{strange}");
        }
    }

    #[test]
    fn no_name_means_two_things() {
        let mut seen = Vec::new();
        for (_, rows) in SECTIONS {
            for (key, _, others) in rows {
                for name in others.iter().chain([key]) {
                    assert!(!seen.contains(name), "{name} is there twice");
                    assert_eq!(canonical(name), *name);
                    seen.push(name);
                }
            }
        }
        assert!(seen.len() > 90);
    }
}
