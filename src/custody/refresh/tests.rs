//! When a token is due, what takes whose place, and what Meta may give back.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::*;
use crate::graph::oauth::OauthSettings;
use crate::time::Clock;
use crate::tokens::{Expiry, Kind};

const NOW: UnixMs = UnixMs(1_800_000_000_000);

fn record(token: &str) -> TokenRecord {
    TokenRecord {
        secret: Secret::new(token.to_owned()),
        obtained: Obtained::Pasted,
        added_at: NOW,
        facts: Facts::default(),
    }
}

fn kept() -> Kept {
    let secret = Secret::new("EAArefresh".to_owned());
    Kept {
        label: "shop".to_owned(),
        key: TokenKey::of(&secret),
        secret,
        source: Source::Vault("shop".parse().unwrap()),
        app: Some(App {
            id: "42".to_owned(),
            secret: Secret::new("s".to_owned()),
        }),
        pixels: Vec::new(),
        added_at: Some(NOW),
        obtained: Some(Obtained::Pasted),
        noted: Facts::default(),
    }
}

fn day(count: i64) -> UnixMs {
    UnixMs(NOW.0 + count * 86_400_000)
}

#[test]
fn it_is_due_by_what_is_left_or_by_age() {
    let kept = kept();
    let facts = |kind, end| Facts {
        kind,
        expires: Expiry::At(end),
        ..Facts::default()
    };
    let policy = Policy::default();
    let due = |kept: &Kept, facts: &Facts, now| is_due(kept, facts, &policy, now);
    let long = facts(Kind::SystemUser, day(60));
    assert!(!due(&kept, &long, day(29)));
    assert!(due(&kept, &long, day(30)), "old enough");
    let short = facts(Kind::SystemUser, day(25));
    assert!(!due(&kept, &short, day(4)));
    assert!(due(&kept, &short, day(5)), "20 days are left");
    assert!(!due(&kept, &short, day(25)), "too late");
    assert!(!due(&kept, &facts(Kind::User, day(3)), NOW));
    let never = Facts {
        expires: Expiry::Never,
        ..long
    };
    assert!(!due(&kept, &never, day(300)));
    let alone = Kept { app: None, ..kept };
    assert!(!due(&alone, &short, day(10)), "no app secret");
}

#[test]
fn a_refreshed_one_is_as_old_as_its_refresh() {
    let facts = Facts {
        kind: Kind::SystemUser,
        expires: Expiry::At(day(100)),
        issued_at: Some(NOW),
        ..Facts::default()
    };
    let due = |obtained, now| {
        let kept = Kept {
            added_at: Some(day(40)),
            obtained: Some(obtained),
            ..kept()
        };
        is_due(&kept, &facts, &Policy::default(), now)
    };
    assert!(due(Obtained::Pasted, day(40)), "it came here old");
    assert!(!due(Obtained::Refreshed, day(40)));
    assert!(!due(Obtained::Refreshed, day(69)));
    assert!(due(Obtained::Refreshed, day(70)));
}

#[test]
fn the_same_token_again_stays_where_it_is() {
    let mut contents = Contents::default();
    let old: Name = "shop".parse().unwrap();
    contents.add(old.clone(), record("a")).unwrap();
    let pixel = crate::pixel::PixelId::from_u64(1).unwrap();
    contents.bind(pixel, Slot::Current, &old, NOW).unwrap();
    let before = contents.pixels.clone();
    let again = TokenRecord {
        obtained: Obtained::Refreshed,
        added_at: day(30),
        ..record("a")
    };
    let name = supersede(&mut contents, &old, again, day(30)).unwrap();
    assert_eq!((&name, &contents.pixels), (&old, &before));
    assert_eq!(contents.tokens.len(), 1);
    assert_eq!(contents.tokens[&old].added_at, day(30));
}

#[test]
fn the_new_one_takes_the_places_of_the_old_one() {
    let mut contents = Contents::default();
    let old: Name = "shop".parse().unwrap();
    contents.add(old.clone(), record("a")).unwrap();
    let pixel = |id| crate::pixel::PixelId::from_u64(id).unwrap();
    contents.bind(pixel(1), Slot::Current, &old, NOW).unwrap();
    contents.bind(pixel(2), Slot::Next, &old, NOW).unwrap();
    let name = supersede(&mut contents, &old, record("b"), NOW).unwrap();
    assert_eq!(name.as_str(), "shop-2");
    let slots = |id| {
        let names = contents.pixels[&pixel(id)].names();
        let shown: Vec<_> = names
            .map(|(slot, name)| format!("{}={name}", slot.code()))
            .collect();
        shown.join(" ")
    };
    assert_eq!(slots(1), "current=shop-2 retiring=shop");
    assert_eq!(slots(2), "next=shop-2");
    let third = supersede(&mut contents, &name, record("c"), NOW).unwrap();
    assert_eq!(third.as_str(), "shop-3");
}

/// A server that gives each of `answers` to one request and hangs up; and what it was asked.
async fn talk<T>(answers: &[&str], call: impl AsyncFnOnce(OauthClient) -> T) -> (T, Vec<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let settings = OauthSettings {
        graph_url: url.parse().unwrap(),
        dialog_url: url.parse().unwrap(),
        version: "v26.0".to_owned(),
        timeout: Duration::from_secs(20),
        connect_timeout: Duration::from_secs(20),
    };
    let client = OauthClient::new(settings, Clock::manual(NOW)).unwrap();
    let served = async {
        let mut asked = Vec::new();
        for body in answers {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut head = [0; 4096];
            let read = stream.read(&mut head).await.unwrap();
            let line = String::from_utf8_lossy(&head[..read]).into_owned();
            let path = line.split(['?', ' ']).nth(1).unwrap_or_default();
            asked.push(path.to_owned());
            let answer = format!(
                "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{body}",
                body.len()
            );
            stream.write_all(answer.as_bytes()).await.unwrap();
        }
        asked
    };
    tokio::join!(call(client), served)
}

fn inspected(end: UnixMs) -> String {
    let end = end.secs();
    format!(
        r#"{{"data":{{"app_id":"42","type":"SYSTEM_USER","is_valid":true,"issued_at":1,"expires_at":{end},"scopes":["ads_management"]}}}}"#
    )
}

/// A vault with the token in a pixel's current slot, and what is known of that.
fn place(dir: &tempfile::TempDir) -> (Vault, Facts) {
    let key = Secret::new("ab".repeat(32));
    let vault = Vault::new(dir.path().join("tokens.vault"), &key).unwrap();
    let pixel = crate::pixel::PixelId::from_u64(1).unwrap();
    let put = |contents: &mut Contents| -> Result<(), VaultError> {
        let name: Name = "shop".parse().unwrap();
        contents.add(name.clone(), record("EAArefresh"))?;
        Ok(contents.bind(pixel, Slot::Current, &name, NOW)?)
    };
    vault.update(put).unwrap();
    let facts = Facts {
        kind: Kind::SystemUser,
        state: State::Valid,
        expires: Expiry::At(day(30)),
        ..Facts::default()
    };
    (vault, facts)
}

#[tokio::test]
async fn the_same_token_that_lives_longer_is_a_success() {
    let dir = tempfile::tempdir().unwrap();
    let (vault, facts) = place(&dir);
    let answers = [r#"{"access_token":"EAArefresh"}"#, &inspected(day(60))];
    let (done, asked) = talk(&answers, async |client| {
        refresh(&client, &vault, &kept(), &facts, NOW).await
    })
    .await;
    let done = done.unwrap();
    assert_eq!((done.name.as_str(), done.key), ("shop", kept().key));
    assert_eq!(asked, ["/v26.0/oauth/access_token", "/v26.0/debug_token"]);
    let contents = vault.read().unwrap();
    let noted = &contents.tokens[&done.name];
    assert_eq!(noted.facts.expires, Expiry::At(day(60)));
    assert_eq!(noted.obtained, Obtained::Refreshed);
}

#[tokio::test]
async fn the_token_that_pixels_send_with_is_never_taken_back() {
    let dir = tempfile::tempdir().unwrap();
    let (vault, facts) = place(&dir);
    let answers = [r#"{"access_token":"EAArefresh"}"#, &inspected(day(30))];
    let (failed, asked) = talk(&answers, async |client| {
        refresh(&client, &vault, &kept(), &facts, NOW).await
    })
    .await;
    let failed = failed.unwrap_err();
    assert!(matches!(failed, RefreshError::Unfit(_)), "{failed}");
    assert_eq!(asked.len(), 2, "nothing was revoked: {asked:?}");
    // nor one that is in the vault under another name
    let other = |contents: &mut Contents| -> Result<(), VaultError> {
        Ok(contents.add("other".parse().unwrap(), record("EAAother"))?)
    };
    vault.update(other).unwrap();
    let answers = [r#"{"access_token":"EAAother"}"#, &inspected(day(60))];
    let (failed, asked) = talk(&answers, async |client| {
        refresh(&client, &vault, &kept(), &facts, NOW).await
    })
    .await;
    assert!(matches!(failed, Err(RefreshError::Vault(_))));
    assert_eq!(asked.len(), 2, "nothing was revoked: {asked:?}");
}

#[tokio::test]
async fn what_is_not_kept_is_taken_back() {
    let dir = tempfile::tempdir().unwrap();
    let (vault, facts) = place(&dir);
    let answers = [
        r#"{"access_token":"EAAnew"}"#,
        &inspected(day(30)),
        r#"{"success":"true"}"#,
    ];
    let (failed, asked) = talk(&answers, async |client| {
        refresh(&client, &vault, &kept(), &facts, NOW).await
    })
    .await;
    let failed = failed.unwrap_err();
    assert!(matches!(failed, RefreshError::Unfit(_)), "{failed}");
    assert_eq!(asked[2], "/v26.0/oauth/revoke");
}

#[test]
fn one_that_no_pixel_has_makes_way() {
    let mut contents = Contents::default();
    let admin: Name = "admin".parse().unwrap();
    contents.add(admin.clone(), record("a")).unwrap();
    for token in ["b", "c"] {
        let name = supersede(&mut contents, &admin, record(token), NOW).unwrap();
        assert_eq!(name, admin);
        assert_eq!(contents.tokens.len(), 1);
        assert_eq!(contents.tokens[&admin].secret.expose(), token);
    }
}

#[test]
fn what_a_refresh_has_left_behind_is_known() {
    let kept = |label: &str, added| Kept {
        label: label.to_owned(),
        key: TokenKey::of(&Secret::new(label.to_owned())),
        secret: Secret::new(label.to_owned()),
        source: Source::Vault(label.parse().unwrap()),
        app: None,
        pixels: Vec::new(),
        obtained: None,
        added_at: Some(UnixMs(added)),
        noted: Facts {
            user_id: Some("7".to_owned()),
            ..Facts::default()
        },
    };
    let (old, new) = (kept("shop", 1), kept("shop-2", 2));
    let all = [old.clone(), new.clone()];
    assert!(is_left_behind(&old, &all) && !is_left_behind(&new, &all));
    assert!(!is_left_behind(&kept("shop", 3), &all), "it came later");
    let mut other = new;
    other.noted.user_id = Some("8".to_owned());
    assert!(!is_left_behind(&old, &[old.clone(), other]));
}
