//! The pages a person sees, each of which says that this is not Meta.

/// The page with the buttons. It names what is asked for and leads only back to the sandbox.
pub(super) fn consent(app: &str, scopes: &[String], choices: &[(String, String)]) -> String {
    let asked: Vec<String> = scopes.iter().map(|scope| escaped(scope)).collect();
    let links: Vec<String> = choices
        .iter()
        .map(|(name, to)| format!("<a href=\"{}\">{}</a>", escaped(to), escaped(name)))
        .collect();
    let body = format!(
        "<p><b>{}</b> asks for: {}</p><p>{}</p>",
        escaped(app),
        asked.join(", "),
        links.join(" ")
    );
    page("Log in", &body)
}

pub(super) fn bad_app() -> String {
    page(
        "Invalid App ID",
        "<p>The provided app ID does not look like a valid app ID.</p>",
    )
}

pub(super) fn inactive() -> String {
    page(
        "App not active",
        "<p>App not active: this app is not accessible right now.</p>",
    )
}

pub(super) fn blocked() -> String {
    page(
        "URL Blocked",
        "<p>URL Blocked: the redirect URI is not in the list of the app's valid OAuth redirect \
         URIs.</p>",
    )
}

pub(super) fn bad_config() -> String {
    page(
        "Invalid configuration",
        "<p>The app has no login configuration of this id.</p>",
    )
}

pub(super) fn nobody() -> String {
    page(
        "Nobody is logged in",
        "<p>The world of this sandbox has no such person.</p>",
    )
}

fn page(title: &str, body: &str) -> String {
    format!(
        "<!DOCTYPE html><html lang=\"en\"><head><meta charset=\"utf-8\">\
         <title>{title} (sandbox)</title></head><body><h1>{title}</h1>\
         <p><strong>This is the capigate sandbox. It is not Meta.</strong></p>{body}</body></html>"
    )
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_came_in_becomes_markup() {
        let bad = "<script>\"&".to_owned();
        let text = consent(
            &bad,
            std::slice::from_ref(&bad),
            &[(bad.clone(), bad.clone())],
        );
        assert!(!text.contains("<script>"));
        assert!(text.contains("not Meta"));
    }
}
