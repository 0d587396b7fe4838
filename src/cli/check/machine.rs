//! What is on this machine: configuration, files, vault, alerts.

use std::collections::BTreeSet;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use crate::config::{Config, SecretRef};
use crate::custody::ladder::{Finding, Mark};
use crate::graph::oauth::Exit;
use crate::time::UnixMs;
use crate::tokens::{Contents, Name, Vault};

/// What is set, apart from pixels, and whether it can be read here.
pub(super) fn configuration(config: &Config, now: UnixMs) -> Vec<Finding> {
    let mut findings = vec![Finding::new(
        "config",
        Mark::Pass,
        format!(
            "without a fault; pixels: {}, sources: {}, Graph {} at {}",
            config.pixels.len(),
            config.sources.len(),
            config.graph.version,
            config.graph.url
        ),
    )];
    let warnings = config.warnings(now).into_iter();
    let general = warnings.filter(|warning| !warning.starts_with("pixels."));
    findings.extend(general.map(|warning| Finding::new("config", Mark::Warn, warning)));
    if config.pixels.is_empty() {
        findings.push(
            Finding::new(
                "config",
                Mark::Warn,
                "no pixel is configured, so nothing is sent",
            )
            .next("add a section [pixels.ID]: `capigate token setup` asks for what it needs"),
        );
    }
    if config.sources.is_empty() {
        findings.push(
            Finding::new(
                "config",
                Mark::Warn,
                "no source is configured, so nobody may post events",
            )
            .next("add a section such as [sources.shop] with keys and pixels"),
        );
    }
    let secrets = config.secrets(&|name| std::env::var(name).ok());
    let faults = secrets.err().map(|errors| errors.faults);
    let faults = faults.into_iter().flatten();
    // these are looked at with what they belong to
    let others = faults
        .filter(|fault| !fault.key.starts_with("pixels.") && !fault.key.starts_with("tokens."));
    findings.extend(others.map(|fault| {
        Finding::new("secrets", Mark::Warn, fault.to_string())
            .next("if the gateway has it all the same, run this with its user and environment")
    }));
    findings
}

/// Who else may read what only the gateway should.
pub(super) fn files(config: &Config) -> Vec<Finding> {
    let key = match &config.tokens.vault_key {
        Some(SecretRef::File(path)) => Some(path.as_path()),
        _ => None,
    };
    let mut count = 0;
    let mut findings = Vec::new();
    // the key's mode is a matter of the vault
    for path in config
        .secret_files()
        .into_iter()
        .filter(|path| Some(*path) != key)
    {
        let Some(mode) = mode(path) else {
            continue;
        };
        count += 1;
        if mode & 0o077 != 0 {
            let path = path.display();
            let says = format!("{path} can be read by others (mode {mode:04o})");
            let next = format!("run `chmod 600 {path}`");
            findings.push(Finding::new("file_mode", Mark::Warn, says).next(next));
        }
    }
    if let Some(mode) = mode(&config.journal.dir) {
        count += 1;
        if mode & 0o077 != 0 {
            let path = config.journal.dir.display();
            let says = format!("the journal {path} can be entered by others (mode {mode:04o})");
            let next = format!("run `chmod 700 {path}`");
            findings.push(Finding::new("file_mode", Mark::Warn, says).next(next));
        }
    }
    for dir in around(config) {
        // what has the sticky bit is changed by its owners alone
        if let Some(mode) = mode(&dir).filter(|mode| mode & 0o1002 == 0o002) {
            let path = dir.display();
            let says = format!(
                "anyone may put other files in the place of those in {path} (mode {mode:04o})"
            );
            let next = format!("run `chmod o-w {path}`");
            findings.push(Finding::new("file_mode", Mark::Warn, says).next(next));
        }
    }
    if findings.is_empty() {
        let says = match count {
            0 => "nothing is there yet that others should not read".to_owned(),
            _ => format!("what only the gateway should read is closed to others ({count})"),
        };
        findings.push(Finding::new("file_mode", Mark::Pass, says));
    }
    findings
}

/// The directories around the vault, the journal and the secrets.
fn around(config: &Config) -> BTreeSet<PathBuf> {
    let secrets = config.secret_files();
    let own = [config.tokens.vault.as_path(), config.journal.dir.as_path()];
    let all = own.into_iter().chain(secrets);
    let parents = all.filter_map(Path::parent).map(|dir| match dir.to_str() {
        Some("") => PathBuf::from("."),
        _ => dir.to_owned(),
    });
    parents.collect()
}

/// None when there is nothing, or it cannot be looked at.
fn mode(path: &Path) -> Option<u32> {
    Some(path.metadata().ok()?.mode() & 0o7777)
}

/// The vault and what nobody uses in it. `broken` says why it cannot be read.
pub(super) fn vault(config: &Config, contents: &Contents, broken: Option<&str>) -> Vec<Finding> {
    if let Some(broken) = broken {
        let bad = Finding::new("vault", Mark::Fail, broken).exit(Exit::Usage);
        return vec![bad.next("put that right, or see `capigate token guide backup`")];
    }
    let Some(place) = &config.tokens.vault_key else {
        let says = "there is none; tokens come from where the configuration points to";
        return vec![Finding::new("vault", Mark::Skipped, says)];
    };
    let mut findings = vec![Finding::new(
        "vault",
        Mark::Pass,
        format!(
            "can be read; tokens: {}, apps: {}",
            contents.tokens.len(),
            contents.apps.len()
        ),
    )];
    if let SecretRef::File(key) = place
        && key.parent().is_some()
        && key.parent() == config.tokens.vault.parent()
    {
        findings.push(
            Finding::new(
                "vault_key",
                Mark::Warn,
                "the key lies beside the vault: whoever copies that directory has the tokens",
            )
            .next("move the key to another place, and leave it out of backups of the vault"),
        );
    }
    let unused = |name: &&Name| contents.users(name).next().is_none();
    let unused: Vec<&str> = contents
        .tokens
        .keys()
        .filter(unused)
        .map(Name::as_str)
        .collect();
    if !unused.is_empty() {
        let says = format!("no pixel has these tokens: {}", unused.join(", "));
        findings.push(
            Finding::new("unused", Mark::Skipped, says)
                .next("what is not needed any more: `capigate token remove NAME`"),
        );
    }
    for pixel in contents.pixels.keys() {
        if !config.pixels.contains_key(pixel) {
            let says = format!("pixel {pixel} has a token here and is not in the configuration");
            let next = format!("add a section [pixels.{pixel}] to the configuration");
            findings.push(Finding::new("configured", Mark::Warn, says).next(next));
        }
    }
    findings
}

/// That the vault cannot be changed here, if so. Where nothing is yet, nothing is made.
pub(super) fn unwritable(vault: &Vault) -> Option<Finding> {
    let dir = vault.path().parent().filter(|dir| dir.is_dir())?;
    let error = vault.probe().err()?;
    let says = format!("cannot be written here: {error}");
    Some(
        Finding::new("vault_write", Mark::Warn, says).next(format!(
            "make room in {}, or let the user of the gateway write there; until then no token is kept or refreshed",
            dir.display()
        )),
    )
}

/// Whether anyone hears of trouble.
pub(super) fn alerts(config: &Config) -> Vec<Finding> {
    let mut findings = Vec::new();
    let channels = channels(config);
    findings.push(if channels.is_empty() {
        Finding::new(
            "alerts",
            Mark::Warn,
            "no channel is set, so what goes wrong stands in the log alone",
        )
        .next("set alerts.webhook_url or alerts.email_to, then try it: `capigate alert test`")
    } else {
        let says = format!("alerts go by {}", channels.join(" and "));
        Finding::new("alerts", Mark::Pass, says)
    });
    if config.tokens.check_interval.get().is_zero() {
        findings.push(
            Finding::new(
                "check_interval",
                Mark::Warn,
                "a running gateway does not ask Meta about its tokens (tokens.check_interval is 0s)",
            )
            .next("set it to 1d, so that you hear of an end before it comes"),
        );
    }
    findings
}

/// How alerts get out.
pub(super) fn channels(config: &Config) -> Vec<&'static str> {
    let webhook = config.alerts.webhook_url.is_some().then_some("webhook");
    let mail = (!config.alerts.email_to.is_empty()).then_some("mail");
    webhook.into_iter().chain(mail).collect()
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "files of these tests")]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn read(text: &str) -> Config {
        toml::from_str(text).unwrap()
    }

    fn marks(findings: &[Finding]) -> Vec<(&str, Mark)> {
        findings.iter().map(|one| (one.check, one.mark)).collect()
    }

    #[test]
    fn an_empty_configuration_sends_nothing_and_tells_nobody() {
        let config = Config::default();
        let found = configuration(&config, UnixMs::from_secs(1_795_305_600));
        assert_eq!(
            marks(&found),
            [
                ("config", Mark::Pass),
                ("config", Mark::Warn),
                ("config", Mark::Warn)
            ]
        );
        assert_eq!(marks(&alerts(&config)), [("alerts", Mark::Warn)]);
        assert_eq!(
            marks(&vault(&config, &Contents::default(), None)),
            [("vault", Mark::Skipped)]
        );
        let broken = vault(
            &config,
            &Contents::default(),
            Some("the vault x is damaged"),
        );
        assert_eq!(marks(&broken), [("vault", Mark::Fail)]);
    }

    #[test]
    fn channels_are_named() {
        let config = read(
            "[alerts]\nwebhook_url = { env = \"HOOK\" }\nemail_to = [\"ops@example.com\"]\n[tokens]\ncheck_interval = \"0s\"\n",
        );
        assert_eq!(channels(&config), ["webhook", "mail"]);
        assert_eq!(
            marks(&alerts(&config)),
            [("alerts", Mark::Pass), ("check_interval", Mark::Warn)]
        );
    }

    #[test]
    fn files_that_others_may_read_are_told_with_what_to_do() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("token");
        std::fs::write(&path, "t").unwrap();
        let config = read(&format!(
            "[journal]\ndir = \"{0}/none\"\n[pixels.1234567890123456]\ntoken = {{ file = \"{0}/token\" }}\n",
            dir.path().display()
        ));
        let set = |mode| {
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
        };
        set(0o640);
        let found = files(&config);
        assert_eq!(marks(&found), [("file_mode", Mark::Warn)]);
        assert!(found[0].next.as_ref().unwrap().contains("chmod 600"));
        set(0o600);
        assert_eq!(marks(&files(&config)), [("file_mode", Mark::Pass)]);
        for (mode, mark) in [(0o777, Mark::Warn), (0o1777, Mark::Pass)] {
            let mode = std::fs::Permissions::from_mode(mode);
            std::fs::set_permissions(dir.path(), mode).unwrap();
            assert_eq!(marks(&files(&config)), [("file_mode", mark)]);
        }
    }
}
