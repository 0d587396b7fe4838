//! The permissions that a system user's token can have.

/// As Meta lists them under "Install apps, generate, refresh and revoke tokens". Others may come,
/// so an unknown one is passed on with a warning.
const KNOWN: [&str; 35] = [
    "ads_management",
    "ads_read",
    "attribution_read",
    "business_management",
    "catalog_management",
    "commerce_account_manage_orders",
    "commerce_account_read_orders",
    "commerce_account_read_settings",
    "instagram_basic",
    "instagram_branded_content_ads_brand",
    "instagram_branded_content_brand",
    "instagram_content_publish",
    "instagram_manage_comments",
    "instagram_manage_insights",
    "instagram_manage_messages",
    "instagram_shopping_tag_products",
    "leads_retrieval",
    "page_events",
    "pages_manage_ads",
    "pages_manage_cta",
    "pages_manage_engagement",
    "pages_manage_instant_articles",
    "pages_manage_metadata",
    "pages_manage_posts",
    "pages_messaging",
    "pages_read_engagement",
    "pages_read_user_content",
    "pages_show_list",
    "private_computation_access",
    "publish_video",
    "read_audience_network_insights",
    "read_insights",
    "read_page_mailboxes",
    "whatsapp_business_management",
    "whatsapp_business_messaging",
];

/// Characters of a permission.
const MAX_SCOPE: usize = 100;

/// Whether a text can be a permission at all: no comma, which would make two of it.
pub(super) fn is_scope(text: &str) -> bool {
    let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_';
    (1..=MAX_SCOPE).contains(&text.len()) && text.bytes().all(plain)
}

/// Whether Meta lists it for system users.
pub(super) fn is_known(scope: &str) -> bool {
    KNOWN.contains(&scope)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_is_a_permission_and_stands_there_once() {
        assert!(KNOWN.iter().all(|scope| is_scope(scope)));
        assert!(KNOWN.is_sorted_by(|one, other| one < other));
        assert!(is_known("ads_management") && !is_known("email"));
        for bad in ["", "a,b", "Ads", "a b"] {
            assert!(!is_scope(bad), "{bad}");
        }
    }
}
