//! Tells crawlers by their user agent.

use std::sync::LazyLock;

use regex::bytes::{RegexSet, RegexSetBuilder};
use serde::{Deserialize, Serialize};

/// The list, with its source and licence in its first lines.
const LIST: &str = include_str!("crawlers.txt");

/// Bytes of a user agent that are looked at: the longest that browsers send are far shorter.
const MAX_USER_AGENT: usize = 2048;

/// What becomes of events that a crawler has caused.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Crawlers {
    /// They are sent like others.
    #[default]
    Keep,
    /// They are not sent.
    Drop,
}

static PATTERNS: LazyLock<RegexSet> = LazyLock::new(|| {
    let mut builder = RegexSetBuilder::new(patterns());
    let set = builder.unicode(false).case_insensitive(true).build();
    // a test builds it; without it nobody is a crawler
    set.unwrap_or_else(|error| {
        tracing::error!(error = %error, "the list of crawlers cannot be used");
        RegexSet::empty()
    })
});

fn patterns() -> impl Iterator<Item = &'static str> {
    let lines = LIST.lines();
    lines.filter(|line| !line.is_empty() && !line.starts_with('#'))
}

/// Builds the automaton now rather than with the first event.
pub(super) fn prepare() {
    LazyLock::force(&PATTERNS);
}

/// Whether a user agent is that of a known crawler. Takes time in proportion to its length, of
/// which at most [`MAX_USER_AGENT`] bytes count.
pub(super) fn is_crawler(user_agent: &str) -> bool {
    let bytes = user_agent.as_bytes();
    PATTERNS.is_match(bytes.get(..MAX_USER_AGENT).unwrap_or(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_whole_list_is_used() {
        assert!(patterns().count() > 1000);
        assert_eq!(PATTERNS.len(), patterns().count());
        assert!(LIST.contains("MIT License") && LIST.contains("Copyright (c)"));
    }

    #[test]
    fn crawlers_and_people() {
        for crawler in [
            "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)",
            "Mozilla/5.0 (Linux; Android 6.0.1; Nexus 5X Build/MMB29P) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/41.0.2272.96 Mobile Safari/537.36 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)",
            "Mozilla/5.0 (compatible; bingbot/2.0; +http://www.bing.com/bingbot.htm)",
            "facebookexternalhit/1.1 (+http://www.facebook.com/externalhit_uatext.php)",
            "Mozilla/5.0 AppleWebKit/537.36 (KHTML, like Gecko; compatible; GPTBot/1.2; +https://openai.com/gptbot)",
            "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) HeadlessChrome/120.0.0.0 Safari/537.36",
            "curl/8.5.0",
            "GOOGLEBOT/2.1",
            "mozilla/5.0 (compatible; BingBot/2.0)",
        ] {
            assert!(is_crawler(crawler), "{crawler}");
        }
        for person in [
            "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0 Safari/537.36",
            "Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.5 Mobile/15E148 Safari/604.1",
            "Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Mobile/21F90 [FBAN/FBIOS;FBAV/465.0.0.33.75;FBDV/iPhone14,5]",
            "Mozilla/5.0 (Linux; Android 14; SM-S918B) AppleWebKit/537.36 (KHTML, like Gecko) SamsungBrowser/25.0 Chrome/121.0.0.0 Mobile Safari/537.36",
            "Mozilla/5.0 (X11; Ubuntu; Linux x86_64; rv:127.0) Gecko/20100101 Firefox/127.0",
            "Mozilla/5.0 (Linux; Android 13; CUBOT NOTE 50) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/124.0.0.0 Mobile Safari/537.36",
            "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.4 Safari/605.1.15",
            "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/125.0.0.0 Safari/537.36 Edg/125.0.0.0",
            "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/124.0.0.0 Safari/537.36 OPR/110.0.0.0",
            "Mozilla/5.0 (Linux; Android 14; Pixel 8 Build/UD1A; wv) AppleWebKit/537.36 (KHTML, like Gecko) Version/4.0 Chrome/124.0.0.0 Mobile Safari/537.36 [FB_IAB/FB4A;FBAV/465.0.0.48.106;]",
            "Mozilla/5.0 (iPhone; CPU iPhone OS 17_4 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) CriOS/124.0.6367.88 Mobile/15E148 Safari/604.1",
            "Instagram 331.0.0.30.95 (iPhone14,5; iOS 17_5; en_US; en; scale=3.00; 1170x2532)",
            "",
        ] {
            assert!(!is_crawler(person), "{person}");
        }
    }

    #[test]
    fn a_hostile_user_agent_is_cut() {
        let long = "Googlebo".repeat(100_000);
        assert!(!is_crawler(&long));
        assert!(!is_crawler(&format!(
            "{}Googlebot/",
            " ".repeat(MAX_USER_AGENT)
        )));
    }
}
