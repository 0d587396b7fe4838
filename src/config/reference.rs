//! Prints a configuration: the reference with every key and its default, or what is in force.

use std::fmt::Write;

use toml::Table;

use super::docs::{self, Key, TOPICS, Topic};
use super::{Config, Origins, changes};

const HEAD: &str = "\
# capigate: every key, its default and its meaning.
#
# This file is the output of `capigate config reference`; loading it changes nothing. Settings come
# from the defaults, then from the files given with --config in their order, then from the
# environment; later ones win, key by key. A list or a { table } is replaced as a whole.
#
# In the environment, CAPIGATE__LANES__LINGER=1s sets linger of [lanes]. A list or a table is
# written as here: CAPIGATE__SOURCES__SHOP__PIXELS='[\"1234567890123456\"]'.
#
# Sizes: 512B, 64KiB, 8MiB, 16GiB (powers of 1024), 1kB, 1MB, 1GB (powers of 1000), or a number of
# bytes. Durations: 200ms, 5s, 10m, 2h, 7d. Rates: 50/s, 600/m, 1000/h.
#
# A running gateway takes changes over, see [reload]; \"Needs a restart.\" marks the keys that it
# does not.
#
# No secret is written here, only where it is: { env = \"NAME\" }, { file = \"/path\" } or, from
# systemd, { credential = \"name\" }.
#
# A `#` without a blank behind it hides a setting.
";

/// The text of `config/capigate.toml`: every key with its default, its meaning and its unit.
pub fn reference() -> String {
    let mut text = HEAD.to_owned();
    for topic in TOPICS.iter() {
        let hide = if topic.entry.is_some() { "#" } else { "" };
        text.push('\n');
        comment(&mut text, &topic.doc);
        line(&mut text, &format!("{hide}[{}]", title(topic, topic.entry)));
        for key in &topic.keys {
            comment(&mut text, &key.doc);
            if changes::needs_restart(topic, key) {
                comment(&mut text, &["Needs a restart."]);
            }
            // no keys at all are no setting to start from
            let is_key = topic.entry.is_some() && key.is_secret_ref();
            let default = docs::default(topic, key).filter(|_| !key.required && !is_key);
            if let Some(value) = default {
                line(&mut text, &format!("{hide}{} = {value}", key.name));
            } else {
                if !key.required {
                    comment(&mut text, &["No default; an example:"]);
                }
                let example = key.example.unwrap_or_default();
                line(&mut text, &format!("#{} = {example}", key.name));
            }
        }
    }
    text
}

/// The configuration as TOML, each key that was set with a comment that says where.
///
/// Loading it again gives the same configuration. It holds no secret, because `config` holds none.
pub fn print(config: &Config, origins: &Origins) -> Result<String, toml::ser::Error> {
    let whole = Table::try_from(config)?;
    let mut text = String::new();
    for topic in TOPICS.iter() {
        let Some(section) = whole.get(topic.name).and_then(toml::Value::as_table) else {
            continue;
        };
        if topic.entry.is_none() {
            print_section(&mut text, topic, None, section, origins);
            continue;
        }
        for (entry, section) in section {
            if let Some(section) = section.as_table() {
                print_section(&mut text, topic, Some(entry), section, origins);
            }
        }
    }
    Ok(text)
}

fn print_section(
    text: &mut String,
    topic: &Topic,
    entry: Option<&str>,
    section: &Table,
    origins: &Origins,
) {
    let title = title(topic, entry);
    if !text.is_empty() {
        text.push('\n');
    }
    line(text, &format!("[{title}]"));
    let set = |key: &&Key| section.contains_key(key.name);
    for key in topic.keys.iter().filter(set) {
        let value = &section[key.name];
        match origins.get(&format!("{title}.{}", key.name)) {
            Some(origin) => line(text, &format!("{} = {value}  # {origin}", key.name)),
            None => line(text, &format!("{} = {value}", key.name)),
        }
    }
}

fn title(topic: &Topic, entry: Option<&str>) -> String {
    match entry {
        Some(entry) => format!("{}.{entry}", topic.name),
        None => topic.name.to_owned(),
    }
}

fn comment(text: &mut String, lines: &[&str]) {
    for said in lines {
        line(text, format!("# {said}").trim_end());
    }
}

fn line(text: &mut String, said: &str) {
    // writing to a String cannot fail
    let _ = writeln!(text, "{said}");
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;

    fn shipped(name: &str) -> PathBuf {
        PathBuf::from(env!("CARGO_MANIFEST_DIR"))
            .join("config")
            .join(name)
    }

    #[test]
    fn the_reference_file_is_current_and_changes_nothing() {
        let path = shipped("capigate.toml");
        let file = std::fs::read_to_string(&path).unwrap();
        assert_eq!(
            file,
            reference(),
            "regenerate it: cargo run -- config reference > config/capigate.toml"
        );
        let loaded = Config::load_with_origins(&[path], std::iter::empty()).unwrap();
        assert_eq!(loaded.config, Config::default());
        assert!(loaded.origins.contains_key("lanes.linger"));
    }

    #[test]
    fn every_example_of_the_reference_loads() {
        let all: String = reference()
            .lines()
            .filter(|line| !line.starts_with("# ") && *line != "#")
            .map(|line| line.trim_start_matches('#').to_owned() + "\n")
            .collect();
        let file = tempfile::NamedTempFile::new().unwrap();
        std::io::Write::write_all(&mut file.as_file(), all.as_bytes()).unwrap();
        let config = Config::load(&[file.path().to_owned()], std::iter::empty()).unwrap();
        assert!(config.listen.tls.is_some());
        assert_eq!(config.pixels.len(), 1);
        assert_eq!(config.sources["shop"].burst, Some(5000));
    }

    #[test]
    fn what_prints_loads_again() {
        let env = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        let loaded = Config::load_with_origins(
            &[shipped("sandbox.toml")],
            [
                env("CAPIGATE__LANES__LINGER", "1s"),
                env(
                    "CAPIGATE__SOURCES__DEMO__KEYS",
                    r#"[{file="/a \"b\""},{env="X"}]"#,
                ),
            ]
            .into_iter(),
        )
        .unwrap();
        let text = print(&loaded.config, &loaded.origins).unwrap();
        assert!(
            text.contains("linger = \"1s\"  # CAPIGATE__LANES__LINGER\n"),
            "{text}"
        );
        let set = text.lines().find(|line| line.starts_with("url = "));
        assert!(set.unwrap().contains("sandbox.toml:"), "{text}");
        assert!(text.contains("max_events = 1000\n"), "{text}");
        let file = tempfile::NamedTempFile::new().unwrap();
        std::io::Write::write_all(&mut file.as_file(), text.as_bytes()).unwrap();
        let again = Config::load(&[file.path().to_owned()], std::iter::empty()).unwrap();
        assert_eq!(again, loaded.config);
    }
}
