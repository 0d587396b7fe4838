//! Setting a pixel up, with the answers on standard input.

use capigate::sandbox::{Edge, SandboxToken};
use capigate::tokens::Slot;
use serde_json::json;

use crate::desk::{Site, world};
use crate::support::PIXEL;

fn dataset() -> SandboxToken {
    SandboxToken {
        name: "dataset".to_owned(),
        scopes: vec!["ads_management".to_owned()],
        pixels: vec![PIXEL.parse().unwrap()],
        ..SandboxToken::default()
    }
}

async fn site() -> Site {
    let mut site = Site::new(world()).await;
    site.extra = String::new();
    site
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pixel_is_set_up_question_by_question() {
    let mut site = site().await;
    site.has_key = false;
    let token = site.sandbox.mint_token(dataset()).unwrap();
    let key = site.dir.path().join("made.key").display().to_string();
    let setup = ["token", "setup", "--key-file", &key];
    // wrong answers are asked for again
    let answers = format!(
        "no id\n{PIXEL}\nExample Shop, web\nwww.shop.example\nhttps://shop.example\n7\n1\n{token}\n"
    );
    let said = site.run(&setup, &answers);
    assert_eq!(said.code, 0, "{said:?}");
    said.says(&[
        "made a key for the vault",
        "a pixel (dataset) id is 5 to 20 digits",
        "expected the https address of a website",
        "expected a number from 1 to 3",
        "Generate access token",
        "sees the pixel",
        &format!("pixel {PIXEL} sends with it"),
        &format!("vault_key = {{ file = \"{key}\" }}"),
        &format!("[pixels.{PIXEL}]\nname = \"Example Shop, web\"\nsite = \"https://shop.example\""),
    ]);
    // without the lines in the configuration it goes on where it was
    let again = [&setup[..], &["--pixel", PIXEL, "--json"]].concat();
    let said = site.run(&again, "Example Shop, web\nhttps://shop.example\n");
    assert_eq!(said.code, 0, "{said:?}");
    said.says(&["it has a token already", "\"says\": \"valid\""]);

    // and with them nothing is asked any more
    site.extra = said.json()["config_lines"].as_str().unwrap().to_owned();
    let said = site.run(&["token", "setup", "--pixel", PIXEL, "--json"], "");
    assert_eq!(said.code, 0, "{said:?}");
    assert_eq!(said.json()["config_lines"], json!(""));
    assert_eq!(said.err, "");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bad_token_is_not_kept_and_the_next_run_asks_again() {
    let site = site().await;
    let answers = format!("{PIXEL}\n\n\n\n{}\n", format!("EAA{}", "Zz".repeat(40)));
    let said = site.run(&["token", "setup"], &answers);
    assert_eq!(said.code, 3, "{said:?}");
    said.says(&["was not kept", "can be run again"]);
    assert!(site.contents().tokens.is_empty());
    let token = site.sandbox.mint_token(dataset()).unwrap();
    let said = site.run(&["token", "setup"], &format!("{PIXEL}\n\n\n2\n{token}\n"));
    assert_eq!(said.code, 0, "{said:?}");
    let contents = site.contents();
    let mut slots = contents.candidates(PIXEL.parse().unwrap());
    assert_eq!(slots.next().map(|(slot, _, _)| slot), Some(Slot::Current));
    assert!(!site.calls(Edge::Pixel).is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn without_answers_it_ends_and_says_so() {
    let site = site().await;
    for input in ["", "no\n", &format!("{PIXEL}\n")] {
        let said = site.run(&["token", "setup"], input);
        assert_eq!(said.code, 64, "{said:?}");
        said.says(&["there was no answer to", "again"]);
    }
    // the login is another command
    let said = site.run(&["token", "setup", "--pixel", PIXEL], "\n\n3\n");
    assert_eq!(said.code, 0, "{said:?}");
    said.says(&[
        &format!("capigate token login --pixel {PIXEL}"),
        "URL Blocked",
    ]);
}
