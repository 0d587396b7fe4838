//! Names, slots, and what may become of them.

use super::*;

fn name(text: &str) -> Name {
    text.parse().unwrap()
}

fn record(token: &str) -> TokenRecord {
    TokenRecord {
        secret: Secret::new(token.to_owned()),
        obtained: Obtained::Pasted,
        added_at: UnixMs(1),
        facts: Facts::default(),
    }
}

fn pixel(id: u64) -> PixelId {
    PixelId::from_u64(id).unwrap()
}

fn contents() -> Contents {
    let mut contents = Contents::default();
    for token in ["a", "b", "c"] {
        contents.add(name(token), record(token)).unwrap();
    }
    contents
}

fn slots(contents: &Contents, id: u64) -> String {
    let names = contents.candidates(pixel(id));
    let shown: Vec<_> = names
        .map(|(slot, name, _)| format!("{}={name}", slot.code()))
        .collect();
    shown.join(" ")
}

#[test]
fn names_are_short_and_plain_and_no_tokens() {
    for good in ["a", "shop-2026", "Shop.EU_1"] {
        assert_eq!(name(good).as_str(), good);
    }
    let long = "x".repeat(65);
    for bad in ["", "a b", "ä", "-x", &long, "EAABwzLixnjYBAO1234567890"] {
        assert_eq!(bad.parse::<Name>(), Err(NameError), "{bad}");
    }
    assert_eq!(contents().free_name("a").as_str(), "a-2");
    assert_eq!(contents().free_name("my shop").as_str(), "my-shop");
    for wish in ["", "- -", "日本", "EAABwzLixnjYBAO1234567890"] {
        assert_eq!(contents().free_name(wish).as_str(), "token", "{wish}");
    }
    assert_eq!(contents().free_name("-x, y!").as_str(), "x--y");
}

#[test]
fn a_token_is_there_once() {
    let mut contents = contents();
    assert_eq!(
        contents.add(name("d"), record("a")),
        Err(ChangeError::SameToken(name("a")))
    );
    assert_eq!(
        contents.add(name("a"), record("x")),
        Err(ChangeError::NameTaken(name("a")))
    );
}

#[test]
fn a_rotation_goes_forward_and_back() {
    let mut contents = contents();
    let now = UnixMs(5);
    contents
        .bind(pixel(1), Slot::Current, &name("a"), now)
        .unwrap();
    assert_eq!(
        contents.promote(pixel(1), now),
        Err(ChangeError::NoNext(pixel(1)))
    );
    contents
        .bind(pixel(1), Slot::Next, &name("b"), now)
        .unwrap();
    assert_eq!(slots(&contents, 1), "current=a next=b");
    assert_eq!(contents.promote(pixel(1), now), Ok(name("b")));
    assert_eq!(slots(&contents, 1), "current=b retiring=a");
    assert_eq!(contents.roll_back(pixel(1)), Ok(name("a")));
    assert_eq!(slots(&contents, 1), "current=a");
    // straight into the current slot
    contents
        .bind(pixel(1), Slot::Current, &name("c"), now)
        .unwrap();
    assert_eq!(slots(&contents, 1), "current=c retiring=a");
    let occupied = Err(ChangeError::Occupied(pixel(1), Slot::Current, name("c")));
    assert_eq!(contents.check_free(pixel(1), Slot::Current, None), occupied);
    for (slot, own) in [(Slot::Current, Some(&name("c"))), (Slot::Next, None)] {
        assert_eq!(contents.check_free(pixel(1), slot, own), Ok(()));
    }
    // the same again changes nothing
    contents
        .bind(pixel(1), Slot::Current, &name("c"), now)
        .unwrap();
    assert_eq!(slots(&contents, 1), "current=c retiring=a");
    assert_eq!(contents.finish(pixel(1)), Ok(Some(name("a"))));
    assert_eq!(
        contents.finish(pixel(1)),
        Err(ChangeError::NoRetiring(pixel(1)))
    );
}

#[test]
fn a_pixel_that_has_tokens_has_a_current_one() {
    let mut contents = contents();
    let now = UnixMs(5);
    contents
        .bind(pixel(1), Slot::Current, &name("a"), now)
        .unwrap();
    assert_eq!(
        contents.bind(pixel(1), Slot::Next, &name("a"), now),
        Err(ChangeError::IsCurrent(name("a"), pixel(1)))
    );
    contents
        .bind(pixel(1), Slot::Current, &name("b"), now)
        .unwrap();
    contents
        .bind(pixel(1), Slot::Next, &name("c"), now)
        .unwrap();
    assert_eq!(slots(&contents, 1), "current=b next=c retiring=a");
    contents.remove(&name("b"), true).unwrap();
    assert_eq!(slots(&contents, 1), "current=c retiring=a");
    contents.remove(&name("c"), true).unwrap();
    assert_eq!(slots(&contents, 1), "current=a");
}

#[test]
fn a_token_takes_the_place_of_that_one_alone() {
    let mut contents = contents();
    let now = UnixMs(5);
    let (a, b, c) = (name("a"), name("b"), name("c"));
    contents.replace(pixel(1), &a, &b, now).unwrap();
    assert_eq!(slots(&contents, 1), "current=b", "nothing was there");
    contents.bind(pixel(1), Slot::Current, &a, now).unwrap();
    contents.bind(pixel(1), Slot::Next, &b, now).unwrap();
    contents.replace(pixel(1), &a, &b, now).unwrap();
    assert_eq!(slots(&contents, 1), "current=b retiring=a");
    // someone else was faster with the same
    contents.replace(pixel(1), &a, &b, now).unwrap();
    assert_eq!(slots(&contents, 1), "current=b retiring=a");
    // or with another one
    let moved = Err(ChangeError::Moved(pixel(1), b.clone()));
    assert_eq!(contents.replace(pixel(1), &a, &c, now), moved);
    assert_eq!(slots(&contents, 1), "current=b retiring=a");
    contents.replace(pixel(1), &b, &a, now).unwrap();
    assert_eq!(slots(&contents, 1), "current=a retiring=b");
}

#[test]
fn what_others_use_is_not_finished_with_nor_removed() {
    let mut contents = contents();
    let now = UnixMs(5);
    for id in [1, 2] {
        contents
            .bind(pixel(id), Slot::Current, &name("a"), now)
            .unwrap();
    }
    contents
        .bind(pixel(1), Slot::Current, &name("b"), now)
        .unwrap();
    assert_eq!(contents.finish(pixel(1)), Ok(None));
    assert_eq!(
        contents.remove(&name("a"), false).map(|_| ()),
        Err(ChangeError::InUse(name("a"), pixel(2)))
    );
    contents.remove(&name("a"), true).unwrap();
    assert_eq!(slots(&contents, 2), "");
    assert!(!contents.pixels.contains_key(&pixel(2)));
    assert!(
        contents
            .bind(pixel(1), Slot::Next, &name("a"), now)
            .is_err()
    );
}
