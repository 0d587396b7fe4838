//! What opens the browser.

use super::Desk;
use crate::support::PIXEL;

#[tokio::test(flavor = "multi_thread")]
async fn the_browser_inherits_no_secret() {
    use std::os::unix::fs::PermissionsExt;
    let mut desk = Desk::new().await;
    let launcher = desk.site.dir.path().join("xdg-open");
    let seen = desk.site.dir.path().join("seen");
    let script = format!(
        "#!/bin/sh\nexport -p > {0}.part\n/bin/mv {0}.part {0}\n",
        seen.display()
    );
    std::fs::write(&launcher, script).unwrap();
    std::fs::set_permissions(&launcher, PermissionsExt::from_mode(0o700)).unwrap();
    desk.site.extra = format!(
        "[pixels.{PIXEL}]\ntoken = {{ env = \"SHOP_TOKEN\" }}\n[alerts]\nwebhook_url = {{ env = \"HOOK\" }}\n"
    );
    desk.site.vars = [
        ("SHOP_TOKEN", "EAAcanary-token"),
        ("HOOK", "https://hook.example/canary-hook"),
        ("CAPIGATE_ADMIN_KEY", "canary-admin-key"),
        ("DISPLAY", ":7"),
    ]
    .map(|(name, value)| (name, value.to_owned()))
    .to_vec();
    let args = ["token", "login", "--port", &desk.port, "--timeout", "1s"];
    let said = desk.site.run(&args, "");
    said.says(&["The browser is being opened"]);
    let inherited = std::fs::read_to_string(&seen).unwrap();
    assert!(inherited.contains("DISPLAY"), "{inherited}");
    assert!(!inherited.contains("canary"), "{inherited}");
}
