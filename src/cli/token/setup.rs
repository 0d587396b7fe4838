//! `capigate token setup`: a pixel with its token, one question at a time. What is there already
//! is not asked for, so that it can be run again wherever it was left.

mod question;

use std::io::Write;
use std::path::PathBuf;

use clap::Args;

use super::ask;
use super::desk::{Common, Desk, refused, vault};
use super::guide;
use super::obtained::{Keep, keep};
use super::say::Report;
use super::which::look_at;
use crate::cli::USAGE;
use crate::cli::client::failure;
use crate::config::{Config, Fault, Pixel, SecretRef};
use crate::custody::ladder::{Finding, Mark, rungs};
use crate::pixel::PixelId;
use crate::tokens::paste::{Kind, pixel_shape};
use crate::tokens::{Obtained, Slot, Vault};
use question::{ask_until, choose};

#[derive(Args, Debug)]
pub(super) struct SetupArgs {
    #[command(flatten)]
    common: Common,
    /// The pixel; without it, it is asked for
    #[arg(long, value_name = "ID")]
    pixel: Option<PixelId>,
    /// Where the key of the vault goes when the configuration names none yet
    #[arg(long, value_name = "PATH", default_value = "./vault.key")]
    key_file: PathBuf,
}

/// The kinds of tokens to choose from, the best first: what a person reads, and the guide to it.
const KINDS: [(&str, &str); 3] = [
    (
        "one that the Events Manager makes for this pixel: the shortest way, and right for most",
        "dataset-token",
    ),
    (
        "one of a system user: where your business wants tokens that end, or one that the gateway renews",
        "system-user",
    ),
    (
        "one of a person who logs in through the browser: needs an app of yours, ends after 60 days",
        "login",
    ),
];

/// Lines that the configuration lacks.
#[derive(Default)]
struct Lines(Vec<String>);

pub(super) async fn run(args: &SetupArgs, out: &mut dyn Write) -> anyhow::Result<u8> {
    let mut report = Report::new(out, args.common.json);
    let done = setup(args, &mut report).await;
    report.close(done)
}

async fn setup(args: &SetupArgs, report: &mut Report<'_>) -> anyhow::Result<()> {
    let loaded = Config::load(&args.common.config.files, crate::cli::environment());
    let mut config = match loaded {
        Ok(config) => config,
        Err(faults) => {
            let says = format!("the configuration has faults:\n{faults}");
            return Err(failure(USAGE, says));
        }
    };
    let mut lines = Lines::default();
    let vault = args.vault(report, &mut config, &mut lines)?;
    let desk = Desk::with(config, Some(vault))?;
    let pixel = args.pixel(report, &desk)?;
    report.set("pixel", pixel)?;
    about(report, &desk, pixel, &mut lines)?;
    token(report, &desk, pixel).await?;
    let lines = lines.0.join("\n");
    report.set("config_lines", &lines)?;
    if !lines.is_empty() {
        report.say(&format!(
            "\nPut this into the configuration; where a section is there already, add its lines to it:\n\n{lines}\n"
        ))?;
    }
    report.say("Then see whether everything is in order: `capigate check`")
}

impl SetupArgs {
    /// The vault of the configuration, or one with a key that is made now.
    fn vault(
        &self,
        report: &mut Report<'_>,
        config: &mut Config,
        lines: &mut Lines,
    ) -> anyhow::Result<Vault> {
        if let Some(vault) = vault(config)? {
            report.done("vault", "the configuration has a vault")?;
            return Ok(vault);
        }
        let path = std::path::absolute(&self.key_file).unwrap_or_else(|_| self.key_file.clone());
        if path.exists() {
            let says = format!("the key of the vault is in {} already", path.display());
            report.done("key", says)?;
        } else {
            Vault::make_key(&path).map_err(refused)?;
            let says = format!("made a key for the vault in {}", path.display());
            report.done("key", says)?;
        }
        // the gateway may be started elsewhere
        let file = &config.tokens.vault;
        let file = std::path::absolute(file).unwrap_or_else(|_| file.clone());
        lines.0.push(format!(
            "[tokens]\nvault = {}\nvault_key = {{ file = {} }}\n",
            quoted(&file.display().to_string()),
            quoted(&path.display().to_string()),
        ));
        config.tokens.vault_key = Some(SecretRef::File(path));
        vault(config)?.ok_or_else(|| failure(USAGE, "the vault has no key"))
    }

    /// The pixel that is named, or asked for.
    fn pixel(&self, report: &mut Report<'_>, desk: &Desk) -> anyhow::Result<PixelId> {
        if let Some(pixel) = self.pixel {
            return Ok(pixel);
        }
        let mut known = desk.config.pixels.keys();
        let proposed = known.next().filter(|_| known.next().is_none());
        let proposed = proposed.map(ToString::to_string);
        let what = "Id of the pixel (dataset); `capigate token guide pixel` says where it is";
        let (pixel, note) = ask_until(what, proposed.as_deref(), |answer| {
            pixel_shape(answer).map_err(|error| error.to_string())
        })?;
        if let Some(note) = note {
            report.tell(Finding::new("pixel_id", Mark::Warn, note.to_string()))?;
        }
        Ok(pixel)
    }
}

/// Asks what the pixel is called and where it stands, unless the configuration says so.
fn about(
    report: &mut Report<'_>,
    desk: &Desk,
    id: PixelId,
    lines: &mut Lines,
) -> anyhow::Result<()> {
    let known = desk.config.pixels.get(&id);
    let mut pixel = known.cloned().unwrap_or_default();
    let mut own = Vec::new();
    if let Some(name) = &pixel.name {
        report.done("name", format!("it is called {name}"))?;
    } else {
        let what =
            "What it is called in listings and alerts: whose it is, such as Example Shop, web";
        let name = ask_until(what, Some(""), |answer| checked(id, Some(answer), None))?;
        if !name.is_empty() {
            own.push(format!("name = {}", quoted(&name)));
            pixel.name = Some(name);
        }
    }
    if let Some(site) = &pixel.site {
        report.done("site", format!("it stands on {site}"))?;
    } else {
        let what = "The website it stands on, such as https://shop.example";
        let site = ask_until(what, Some(""), |answer| checked(id, None, Some(answer)))?;
        if !site.is_empty() {
            own.push(format!("site = {}", quoted(&site)));
            pixel.site = Some(site);
        }
    }
    let advice = pixel.warnings(id, desk.clock.now()).into_iter();
    report.tell_all(advice.map(|text| Finding::new("advice", Mark::Warn, text)))?;
    if known.is_none() || !own.is_empty() {
        lines.0.push(format!("[pixels.{id}]\n{}\n", own.join("\n")));
    }
    Ok(())
}

/// A name or a site that the configuration takes; nothing is as good as leaving it out.
fn checked(id: PixelId, name: Option<&str>, site: Option<&str>) -> Result<String, String> {
    let answer = name.or(site).unwrap_or_default();
    if answer.is_empty() {
        return Ok(String::new());
    }
    let pixel = Pixel {
        name: name.map(str::to_owned),
        site: site.map(str::to_owned),
        ..Pixel::default()
    };
    let mut faults = Vec::new();
    pixel.validate(id, &mut faults);
    match faults.first() {
        None => Ok(answer.to_owned()),
        Some(Fault { expected, .. }) => Err(expected.clone()),
    }
}

/// Gets the pixel a token, or looks at the one it has.
async fn token(report: &mut Report<'_>, desk: &Desk, pixel: PixelId) -> anyhow::Result<()> {
    let contents = desk.contents()?;
    if let Ok(kept) = desk.find(&contents, None, Some(pixel)) {
        report.done("token", format!("it has a token already: {}", kept.label))?;
        let Some(looked) = look_at(desk, report, &kept).await? else {
            return Ok(());
        };
        let (app, now) = (looked.app.as_ref(), desk.clock.now());
        let found = rungs(
            &desk.client,
            &kept.secret,
            app,
            Some(pixel),
            &looked.seen,
            now,
        );
        return report.tell_all(found.await);
    }
    let configured = desk.config.pixels.get(&pixel);
    if let Some(place) = configured.and_then(|pixel| pixel.token.as_ref()) {
        let says = format!("its token is in {place}, which cannot be read here");
        return report.tell(Finding::new("token", Mark::Skipped, says));
    }
    let chosen = choose("Which token shall it send with?", &KINDS.map(|kind| kind.0))?;
    let topic = KINDS[chosen].1;
    if let Some(text) = guide::text(topic) {
        report.say(&format!("\n{text}"))?;
    }
    if topic == "login" {
        let next = format!("`capigate token login --pixel {pixel}`");
        let says = "the pixel has no token before you have logged in";
        return report.tell(Finding::new("token", Mark::Warn, says).next(next));
    }
    let secret = ask::secret(report, "The token", Kind::LaneToken)?;
    let options = Keep {
        bind: Some((pixel, Slot::Current)),
        ..Keep::default()
    };
    let kept = keep(desk, report, secret, Obtained::Pasted, &options).await?;
    if kept.is_none() {
        report.say("`capigate token setup` can be run again, and goes on from here.")?;
    }
    Ok(())
}

/// A text of the configuration.
fn quoted(text: &str) -> String {
    toml::Value::String(text.to_owned()).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_and_a_site_are_what_the_configuration_takes() {
        let id = "1234567890123456".parse().unwrap();
        let site = |text| checked(id, None, Some(text));
        assert_eq!(
            site("https://shop.example").as_deref(),
            Ok("https://shop.example")
        );
        assert_eq!(site("").as_deref(), Ok(""));
        for bad in ["www.x.com", "http://shop.example"] {
            assert!(
                site(bad).unwrap_err().contains("https://shop.example"),
                "{bad}"
            );
        }
        let long = "x".repeat(101);
        assert!(checked(id, Some(&long), None).is_err());
        assert_eq!(
            checked(id, Some("My \"shop\""), None).as_deref(),
            Ok("My \"shop\"")
        );
        assert_eq!(quoted("My \"shop\""), "'My \"shop\"'");
    }
}
