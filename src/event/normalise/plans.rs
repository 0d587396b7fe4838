//! How telephone numbers are written within a country, and its calling code.
//!
//! The codes are those of ITU-T E.164; trunk prefixes and lengths follow the national numbering
//! plans as Google's libphonenumber 9.0 has collected them. Argentina is left out, since its mobile
//! numbers change on the way to the international form.

/// Country (lower-case alpha-2), calling code, trunk prefix (dialled within the country only),
/// fewest and most digits behind it, and whether a number of that length without trunk prefix and
/// calling code is surely a whole national one.
type Row = (&'static str, &'static str, &'static str, usize, usize, bool);

/// One country's plan.
#[derive(Clone, Copy)]
pub(super) struct Plan {
    country: &'static str,
    code: &'static str,
    trunk: &'static str,
    fewest: usize,
    most: usize,
    bare: bool,
}

/// Countries whose national numbers may begin with a zero, which is then part of the number.
const KEEP_ZERO: [&str; 7] = ["bj", "cg", "ci", "ga", "it", "sm", "va"];

/// Mobile numbers that are known by their length and first digit, where others are not.
const MOBILES: [(&str, usize, char); 3] = [("cn", 11, '1'), ("it", 10, '3'), ("va", 10, '3')];

/// What is dialled in front of a calling code where that is not `00`.
const NORTH_AMERICAN_EXIT: &str = "011";

impl Plan {
    /// The plan of a country.
    pub(super) fn of(country: [u8; 2]) -> Option<Self> {
        let at = PLANS.binary_search_by(|row| row.0.as_bytes().cmp(country.as_slice()));
        let row = at.ok().and_then(|at| PLANS.get(at))?;
        let (country, code, trunk, fewest, most, bare) = *row;
        Some(Self {
            country,
            code,
            trunk,
            fewest,
            most,
            bare,
        })
    }

    /// What a number becomes as it is written within the country: the calling code that belongs in
    /// front, if it is not there, and how the digits end behind it. `None` when they do not say for
    /// sure what they are.
    pub(super) fn complete(self, digits: &str) -> Option<(&'static str, &str)> {
        let fits = |digits: &str| (self.fewest..=self.most).contains(&digits.len());
        let keeps_zero = KEEP_ZERO.contains(&self.country);
        let digits = if self.code == "1" {
            if let Some(abroad) = digits.strip_prefix(NORTH_AMERICAN_EXIT) {
                return (abroad.len() > self.most).then_some(("", abroad));
            }
            digits.trim_start_matches('0')
        } else {
            digits
        };
        let behind_trunk = Some(self.trunk)
            .filter(|trunk| !trunk.is_empty())
            .and_then(|trunk| digits.strip_prefix(trunk));
        let is_mobile = MOBILES.iter().any(|(country, length, first)| {
            // what begins with Italy's code and a zero may be an international number
            *country == self.country
                && digits.len() == *length
                && digits.starts_with(*first)
                && !digits.starts_with("390")
        });
        let starts_well = keeps_zero || !digits.starts_with('0');
        let national = match behind_trunk {
            Some(rest) if fits(rest) => Some(rest),
            _ if is_mobile => Some(digits),
            _ if self.bare && starts_well && fits(digits) => Some(digits),
            _ if keeps_zero && digits.starts_with('0') && fits(digits) => Some(digits),
            _ => None,
        };
        if let Some(national) = national {
            return Some((self.code, national));
        }
        let is_international = digits.strip_prefix(self.code).is_some_and(fits);
        is_international.then_some(("", digits))
    }
}

#[rustfmt::skip]
static PLANS: &[Row] = &[
    ("ad", "376", "", 6, 9, false), ("ae", "971", "0", 8, 9, false),
    ("af", "93", "0", 9, 9, false), ("ag", "1", "1", 10, 10, true), ("ai", "1", "1", 10, 10, true),
    ("al", "355", "0", 8, 9, false), ("am", "374", "0", 8, 8, false),
    ("ao", "244", "", 9, 9, true), ("as", "1", "1", 10, 10, true), ("at", "43", "0", 4, 13, false),
    ("au", "61", "0", 9, 9, false), ("aw", "297", "", 7, 7, true),
    ("ax", "358", "0", 6, 10, false), ("az", "994", "0", 9, 9, false),
    ("ba", "387", "0", 8, 9, false), ("bb", "1", "1", 10, 10, true),
    ("bd", "880", "0", 6, 10, false), ("be", "32", "0", 8, 9, false),
    ("bf", "226", "", 8, 8, true), ("bg", "359", "0", 6, 9, false), ("bh", "973", "", 8, 8, true),
    ("bi", "257", "", 8, 8, true), ("bj", "229", "", 10, 10, true),
    ("bl", "590", "0", 9, 9, false), ("bm", "1", "1", 10, 10, true), ("bn", "673", "", 7, 7, true),
    ("bo", "591", "0", 8, 8, false), ("bq", "599", "", 7, 7, true),
    ("br", "55", "0", 10, 11, true), ("bs", "1", "1", 10, 10, true), ("bt", "975", "", 7, 8, true),
    ("bw", "267", "", 7, 8, true), ("by", "375", "80", 9, 9, false), ("bz", "501", "", 7, 7, true),
    ("ca", "1", "1", 10, 10, true), ("cc", "61", "0", 9, 9, false),
    ("cd", "243", "0", 7, 10, false), ("cf", "236", "", 8, 8, true), ("cg", "242", "", 9, 9, true),
    ("ch", "41", "0", 9, 9, false), ("ci", "225", "", 10, 10, true), ("ck", "682", "", 5, 5, true),
    ("cl", "56", "", 9, 9, true), ("cm", "237", "", 9, 9, true), ("cn", "86", "0", 7, 11, false),
    ("co", "57", "", 10, 10, true), ("cr", "506", "", 8, 8, true), ("cu", "53", "0", 6, 10, false),
    ("cv", "238", "", 7, 7, true), ("cw", "599", "", 7, 8, true), ("cx", "61", "0", 9, 9, false),
    ("cy", "357", "", 8, 8, true), ("cz", "420", "", 9, 9, true), ("de", "49", "0", 5, 15, false),
    ("dj", "253", "", 8, 8, true), ("dk", "45", "", 8, 8, true), ("dm", "1", "1", 10, 10, true),
    ("do", "1", "1", 10, 10, true), ("dz", "213", "0", 8, 9, false),
    ("ec", "593", "0", 8, 9, false), ("ee", "372", "", 7, 8, true),
    ("eg", "20", "0", 8, 10, false), ("eh", "212", "0", 9, 9, false),
    ("er", "291", "0", 7, 7, false), ("es", "34", "", 9, 9, true), ("et", "251", "0", 9, 9, false),
    ("fi", "358", "0", 5, 10, false), ("fj", "679", "", 7, 7, true), ("fk", "500", "", 5, 5, true),
    ("fm", "691", "", 7, 7, true), ("fo", "298", "", 6, 6, true), ("fr", "33", "0", 9, 9, false),
    ("ga", "241", "", 7, 8, true), ("gb", "44", "0", 9, 10, false), ("gd", "1", "1", 10, 10, true),
    ("ge", "995", "0", 9, 9, false), ("gf", "594", "0", 9, 9, false),
    ("gg", "44", "0", 10, 10, false), ("gh", "233", "0", 9, 9, false),
    ("gi", "350", "", 8, 8, true), ("gl", "299", "", 6, 6, true), ("gm", "220", "", 7, 9, true),
    ("gn", "224", "", 8, 9, true), ("gp", "590", "0", 9, 9, false), ("gq", "240", "", 9, 9, true),
    ("gr", "30", "", 10, 10, true), ("gt", "502", "", 8, 8, true), ("gu", "1", "1", 10, 10, true),
    ("gw", "245", "", 9, 9, true), ("gy", "592", "", 7, 7, true), ("hk", "852", "", 8, 8, true),
    ("hn", "504", "", 8, 8, true), ("hr", "385", "0", 8, 9, false), ("ht", "509", "", 8, 8, true),
    ("hu", "36", "06", 8, 9, false), ("id", "62", "0", 7, 12, false),
    ("ie", "353", "0", 7, 10, false), ("il", "972", "0", 8, 12, false),
    ("im", "44", "0", 10, 10, false), ("in", "91", "0", 10, 10, true),
    ("io", "246", "", 7, 7, true), ("iq", "964", "0", 8, 10, false),
    ("ir", "98", "0", 6, 10, false), ("is", "354", "", 7, 9, true), ("it", "39", "", 6, 12, false),
    ("je", "44", "0", 10, 10, false), ("jm", "1", "1", 10, 10, true),
    ("jo", "962", "0", 8, 9, false), ("jp", "81", "0", 9, 10, false),
    ("ke", "254", "0", 7, 9, false), ("kg", "996", "0", 9, 9, false),
    ("kh", "855", "0", 8, 9, false), ("ki", "686", "0", 5, 8, false),
    ("km", "269", "", 7, 7, true), ("kn", "1", "1", 10, 10, true),
    ("kp", "850", "0", 8, 10, false), ("kr", "82", "0", 5, 10, false),
    ("kw", "965", "", 8, 8, true), ("ky", "1", "1", 10, 10, true), ("kz", "7", "8", 10, 10, false),
    ("la", "856", "0", 8, 10, false), ("lb", "961", "0", 7, 8, false),
    ("lc", "1", "1", 10, 10, true), ("li", "423", "0", 7, 9, false),
    ("lk", "94", "0", 9, 9, false), ("lr", "231", "0", 7, 9, false), ("ls", "266", "", 8, 8, true),
    ("lt", "370", "0", 8, 8, false), ("lu", "352", "", 4, 11, false),
    ("lv", "371", "", 8, 8, true), ("ly", "218", "0", 9, 9, false),
    ("ma", "212", "0", 9, 9, false), ("mc", "377", "0", 8, 9, false),
    ("md", "373", "0", 8, 8, false), ("me", "382", "0", 8, 8, false),
    ("mf", "590", "0", 9, 9, false), ("mg", "261", "0", 9, 9, false),
    ("mh", "692", "1", 7, 7, false), ("mk", "389", "0", 8, 8, false),
    ("ml", "223", "", 8, 8, true), ("mm", "95", "0", 6, 10, false),
    ("mn", "976", "0", 8, 10, false), ("mo", "853", "", 8, 8, true),
    ("mp", "1", "1", 10, 10, true), ("mq", "596", "0", 9, 9, false), ("mr", "222", "", 8, 8, true),
    ("ms", "1", "1", 10, 10, true), ("mt", "356", "", 8, 8, true), ("mu", "230", "", 7, 8, true),
    ("mv", "960", "", 7, 7, true), ("mw", "265", "0", 7, 9, false), ("mx", "52", "", 10, 10, true),
    ("my", "60", "0", 8, 10, false), ("mz", "258", "", 8, 9, true),
    ("na", "264", "0", 8, 9, false), ("nc", "687", "", 6, 6, true), ("ne", "227", "", 8, 8, true),
    ("nf", "672", "", 6, 6, true), ("ng", "234", "0", 10, 10, false),
    ("ni", "505", "", 8, 8, true), ("nl", "31", "0", 9, 11, false), ("no", "47", "", 8, 8, true),
    ("np", "977", "0", 8, 10, false), ("nr", "674", "", 7, 7, true),
    ("nu", "683", "", 4, 7, false), ("nz", "64", "0", 8, 10, false), ("om", "968", "", 8, 8, true),
    ("pa", "507", "", 7, 8, true), ("pe", "51", "0", 8, 9, false), ("pf", "689", "", 8, 8, true),
    ("pg", "675", "", 7, 8, true), ("ph", "63", "0", 6, 10, false),
    ("pk", "92", "0", 9, 10, false), ("pl", "48", "", 9, 9, true), ("pm", "508", "0", 6, 9, false),
    ("pr", "1", "1", 10, 10, true), ("ps", "970", "0", 8, 9, false), ("pt", "351", "", 9, 9, true),
    ("pw", "680", "", 7, 7, true), ("py", "595", "0", 7, 9, false), ("qa", "974", "", 8, 8, true),
    ("re", "262", "0", 9, 9, false), ("ro", "40", "0", 6, 9, false),
    ("rs", "381", "0", 7, 12, false), ("ru", "7", "8", 10, 10, false),
    ("rw", "250", "0", 8, 9, false), ("sa", "966", "0", 9, 9, false),
    ("sb", "677", "", 5, 7, true), ("sc", "248", "", 7, 7, true), ("sd", "249", "0", 9, 9, false),
    ("se", "46", "0", 7, 9, false), ("sg", "65", "", 8, 8, true), ("sh", "290", "", 4, 5, true),
    ("si", "386", "0", 8, 8, false), ("sj", "47", "", 8, 8, true), ("sk", "421", "0", 6, 9, false),
    ("sl", "232", "0", 8, 8, false), ("sm", "378", "", 8, 10, true), ("sn", "221", "", 9, 9, true),
    ("so", "252", "0", 6, 9, false), ("sr", "597", "", 6, 7, true),
    ("ss", "211", "0", 9, 9, false), ("st", "239", "", 7, 7, true), ("sv", "503", "", 8, 8, true),
    ("sx", "1", "1", 10, 10, true), ("sy", "963", "0", 8, 9, false), ("sz", "268", "", 8, 8, true),
    ("tc", "1", "1", 10, 10, true), ("td", "235", "", 8, 8, true), ("tg", "228", "", 8, 8, true),
    ("th", "66", "0", 8, 9, false), ("tj", "992", "", 9, 9, true), ("tk", "690", "", 4, 7, false),
    ("tl", "670", "", 7, 8, true), ("tm", "993", "8", 8, 8, false), ("tn", "216", "", 8, 8, true),
    ("to", "676", "", 5, 7, true), ("tr", "90", "0", 10, 10, false),
    ("tt", "1", "1", 10, 10, true), ("tv", "688", "", 5, 7, true), ("tw", "886", "0", 8, 9, false),
    ("tz", "255", "0", 9, 9, false), ("ua", "380", "0", 9, 9, false),
    ("ug", "256", "0", 9, 9, false), ("us", "1", "1", 10, 10, true),
    ("uy", "598", "0", 8, 8, false), ("uz", "998", "", 9, 9, true), ("va", "39", "", 6, 11, false),
    ("vc", "1", "1", 10, 10, true), ("ve", "58", "0", 10, 10, false),
    ("vg", "1", "1", 10, 10, true), ("vi", "1", "1", 10, 10, true),
    ("vn", "84", "0", 9, 10, false), ("vu", "678", "", 5, 7, true), ("wf", "681", "", 6, 6, true),
    ("ws", "685", "", 5, 10, false), ("ye", "967", "0", 7, 9, false),
    ("yt", "262", "0", 9, 9, false), ("za", "27", "0", 5, 9, false),
    ("zm", "260", "0", 9, 9, false), ("zw", "263", "0", 9, 9, false),
];

#[cfg(test)]
mod tests {
    use super::super::super::tables::COUNTRY_ALPHA2;
    use super::*;

    #[test]
    fn the_table_is_sorted_and_in_itself_right() {
        assert!(PLANS.is_sorted_by(|one, next| one.0 < next.0));
        for (country, code, trunk, fewest, most, bare) in PLANS {
            assert!(COUNTRY_ALPHA2.contains(country), "{country}");
            assert!((1..=3).contains(&code.len()), "{country}");
            assert!(
                code.bytes()
                    .chain(trunk.bytes())
                    .all(|b| b.is_ascii_digit())
            );
            assert!(fewest <= most && code.len() + fewest <= 15, "{country}");
            // or a national number could be an international one
            assert!(!bare || *most < fewest + code.len(), "{country}");
        }
    }

    #[test]
    fn national_numbers_get_the_code_where_they_are_certain() {
        for (country, digits, whole) in [
            ("de", "015112345678", "4915112345678"),
            ("de", "4915112345678", "4915112345678"),
            ("de", "15112345678", ""),
            ("gb", "02079460958", "442079460958"),
            ("gb", "442079460958", "442079460958"),
            ("gb", "2079460958", ""),
            ("fr", "0612345678", "33612345678"),
            ("ch", "0791234567", "41791234567"),
            ("it", "0612345678", "390612345678"),
            ("it", "3331234567", "393331234567"),
            ("it", "393331234567", "393331234567"),
            ("it", "3906123456", "3906123456"),
            ("es", "612345678", "34612345678"),
            ("es", "34612345678", "34612345678"),
            ("es", "0612345678", ""),
            ("dk", "20123456", "4520123456"),
            ("dk", "45123456", "4545123456"),
            ("pl", "512345678", "48512345678"),
            ("ci", "0123456789", "2250123456789"),
            ("hu", "06301234567", "36301234567"),
            ("ru", "89123456789", "79123456789"),
            ("ru", "79123456789", "79123456789"),
            ("ru", "9123456789", ""),
            ("br", "11999998888", "5511999998888"),
            ("br", "5511999998888", "5511999998888"),
            ("in", "9876543210", "919876543210"),
            ("in", "09876543210", "919876543210"),
            ("cn", "13812345678", "8613812345678"),
            ("us", "6505551212", "16505551212"),
            ("us", "16505551212", "16505551212"),
            ("us", "011442079460958", "442079460958"),
            ("us", "5551212", ""),
            ("jp", "0312345678", "81312345678"),
            ("jp", "010442079460958", ""),
        ] {
            let plan = Plan::of(country.as_bytes().try_into().unwrap()).unwrap();
            let (code, national) = plan.complete(digits).unwrap_or_default();
            assert_eq!(format!("{code}{national}"), whole, "{country} {digits}");
        }
        assert!(Plan::of(*b"ar").is_none());
        assert!(Plan::of(*b"zz").is_none());
    }
}
