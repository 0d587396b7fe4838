//! The key, copies of the vault, and a token in clear where one is asked for.

use std::os::unix::fs::PermissionsExt;

use super::place::{PIXEL, Place};

#[tokio::test(flavor = "multi_thread")]
async fn a_copied_vault_opens_with_its_key_and_with_no_other() {
    let place = Place::with_app().await;
    let token = place.system_token();
    place
        .run(&["add", "--pixel", PIXEL, "--name", "shop"], &token)
        .done();
    let other = Place::bare().await;
    for file in ["tokens.vault", "vault.key"] {
        std::fs::copy(place.path(file), other.path(file)).unwrap();
    }
    assert_eq!(other.reveal("shop"), token);
    assert_eq!(other.slots(), [format!("shop: current of {PIXEL}")]);
    std::fs::remove_file(other.path("vault.key")).unwrap();
    other
        .run(&["init", "--key-file", &other.path("vault.key")], "")
        .done();
    other
        .run(&["list"], "")
        .ended(64)
        .says("is sealed with another key");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_is_made_once_and_readable_by_its_owner() {
    let place = Place::bare().await;
    let words = ["init", "--key-file", &place.path("vault.key"), "--json"];
    let ran = place.run(&words, "").done();
    assert_eq!(ran.json()["ok"], true);
    let mode = std::fs::metadata(place.path("vault.key"))
        .unwrap()
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o600);
    let ran = place.run(&words, "").ended(64);
    assert_eq!(ran.json()["ok"], false);
    ran.says("is there already, and is left as it is");
    std::fs::set_permissions(
        place.path("vault.key"),
        std::fs::Permissions::from_mode(0o644),
    )
    .unwrap();
    place.run(&["list"], "").ended(64).says("chmod 600");
}

#[test]
fn a_key_that_cannot_be_written_leaves_nothing_behind() {
    let dir = tempfile::tempdir().unwrap();
    let run = |limit: &str| {
        let script = format!("{limit} exec \"$0\" token init --key-file \"$1\"");
        std::process::Command::new("bash")
            .args(["-c", &script, env!("CARGO_BIN_EXE_capigate")])
            .arg(dir.path().join("vault.key"))
            .output()
            .unwrap()
    };
    // no file may have a byte in it
    let refused = run("trap '' XFSZ; ulimit -f 0;");
    assert!(!refused.status.success(), "{refused:?}");
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
    let made = run("");
    assert!(made.status.success(), "{made:?}");
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_is_shown_in_clear_only_where_it_is_asked_for() {
    let place = Place::new().await;
    let token = place.system_token();
    place
        .run(&["add", "--pixel", PIXEL, "--name", "shop"], &token)
        .done();
    let out = place.path("shop.env");
    let ran = place
        .json(
            &["export-env", "shop", "--var", "SHOP_TOKEN", "--out", &out],
            "",
        )
        .done();
    assert_eq!(ran.json()["file"], out);
    assert_eq!(
        std::fs::read_to_string(&out).unwrap(),
        format!("SHOP_TOKEN='{token}'\n")
    );
    let mode = std::fs::metadata(&out).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    place
        .run(
            &["export-env", "shop", "--var", "SHOP_TOKEN", "--out", &out],
            "",
        )
        .ended(1)
        .says("is there already, and is left as it is");
    for words in [
        vec!["export-env", "shop", "--var", "A"],
        vec!["export-env", "shop", "--var", "A B", "--out", "x"],
        vec!["export-env", "shop", "--var", "A", "--reveal", "--json"],
    ] {
        place.run(&words, "").ended(64);
    }
    // nobody is there to say yes
    let words = ["export-env", "--pixel", PIXEL, "--var", "A", "--reveal"];
    let ran = place.run(&words, "y\n").ended(64);
    assert!(!ran.out.contains(&token[..12]));
}
