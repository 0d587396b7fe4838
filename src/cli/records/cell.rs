//! The text of a cell as a JSON value.

use jiff::tz::TimeZone;

use super::columns::Kind;

/// Digits of a whole number: more than any id has.
const MAX_DIGITS: usize = 20;

/// What is expected of a cell that is not that, and an example.
pub(super) type Expected = (&'static str, &'static str);

/// The JSON values of a cell that is not empty: one, or those of a list.
pub(super) fn values(
    cell: &str,
    kind: Kind,
    zone: Option<&TimeZone>,
) -> Result<Vec<String>, Expected> {
    let is_json = kind == Kind::Json || kind.is_list() && cell.starts_with('[');
    if !is_json && cell.contains(['\n', '\r']) {
        return Err((
            "a cell without a line break is expected; perhaps a quotation mark is not closed",
            "\"Jane\"",
        ));
    }
    if matches!(kind, Kind::Text | Kind::Texts | Kind::Ids) && is_scientific(cell) {
        return Err((
            "this is a number in scientific notation, and its digits are lost: format the column as text before it is saved",
            "16505551212",
        ));
    }
    match kind {
        Kind::Number => number(cell),
        Kind::Whole => whole(cell),
        Kind::Time => time(cell, zone).map(|seconds| vec![seconds.to_string()]),
        Kind::Flag => flag(cell),
        Kind::Texts | Kind::Ids if cell.starts_with('[') => list(cell),
        Kind::Text | Kind::Texts => Ok(vec![text(cell)]),
        Kind::Ids => Ok(cell
            .split([',', ';', '|'])
            .map(str::trim)
            .filter(|id| !id.is_empty())
            .map(text)
            .collect()),
        Kind::Json => json(cell),
    }
}

/// Whether a spreadsheet has made it of a long number, such as a phone's.
fn is_scientific(cell: &str) -> bool {
    let Some((digits, power)) = cell.split_once(['E', 'e']) else {
        return false;
    };
    let are_digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    let (whole, part) = digits.split_once(['.', ',']).unwrap_or((digits, "0"));
    let is_power = power.strip_prefix('+').is_some_and(are_digits);
    is_power && whole.len() == 1 && are_digits(whole) && are_digits(part)
}

/// A JSON string.
fn text(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

fn number(cell: &str) -> Result<Vec<String>, Expected> {
    let plain = |b: u8| b.is_ascii_digit() || b"+-.eE".contains(&b);
    let is_number = cell.bytes().all(plain)
        && serde_json::from_str::<serde_json::Number>(cell).is_ok()
        && cell.parse::<f64>().is_ok_and(f64::is_finite);
    if is_number {
        return Ok(vec![cell.to_owned()]);
    }
    Err((
        "a number is expected, with a decimal point, and without a currency or separators",
        "129.90",
    ))
}

fn whole(cell: &str) -> Result<Vec<String>, Expected> {
    let is_zero = cell == "0";
    let is_plain = cell.bytes().all(|b| b.is_ascii_digit()) && !cell.starts_with('0');
    if is_zero || (is_plain && cell.len() <= MAX_DIGITS) {
        return Ok(vec![cell.to_owned()]);
    }
    Err(("a whole number is expected", "2"))
}

fn flag(cell: &str) -> Result<Vec<String>, Expected> {
    let is_true = match cell.to_ascii_lowercase().as_str() {
        "true" | "yes" | "1" => true,
        "false" | "no" | "0" => false,
        _ => return Err(("true or false is expected", "false")),
    };
    Ok(vec![is_true.to_string()])
}

fn list(cell: &str) -> Result<Vec<String>, Expected> {
    let list: Vec<&serde_json::value::RawValue> =
        serde_json::from_str(cell).map_err(|_| ("a JSON array is expected", "[\"a\",\"b\"]"))?;
    Ok(list.into_iter().map(|one| one.get().to_owned()).collect())
}

fn json(cell: &str) -> Result<Vec<String>, Expected> {
    let is_open = cell.starts_with(['[', '{']);
    if is_open && serde_json::from_str::<serde::de::IgnoredAny>(cell).is_ok() {
        return Ok(vec![cell.to_owned()]);
    }
    Err((
        "a list or an object as JSON text is expected",
        "[{\"id\":\"sku-1\",\"quantity\":2}]",
    ))
}

/// Unix seconds. A number of seconds or milliseconds is told by its length: those of the years
/// 2001 to 2286.
fn time(cell: &str, zone: Option<&TimeZone>) -> Result<i64, Expected> {
    const EXAMPLE: &str = "2026-11-22T10:00:00+01:00";
    if !cell.is_empty() && cell.bytes().all(|b| b.is_ascii_digit()) {
        let number: Option<i64> = cell.parse().ok().filter(|_| !cell.starts_with('0'));
        return match (number, cell.len()) {
            (Some(seconds), 10) => Ok(seconds),
            (Some(millis), 13) => Ok(millis / 1000),
            _ => Err((
                "Unix seconds have 10 digits and milliseconds 13; a date has hyphens",
                "1795341558",
            )),
        };
    }
    if let Ok(moment) = cell.parse::<jiff::Timestamp>() {
        return Ok(moment.as_second());
    }
    if let Ok(zoned) = cell.parse::<jiff::Zoned>() {
        return Ok(zoned.timestamp().as_second());
    }
    if cell.len() <= "2026-11-22".len() && cell.parse::<jiff::civil::Date>().is_ok() {
        return Err(("a date needs a time of day, too", EXAMPLE));
    }
    let Ok(civil) = cell.parse::<jiff::civil::DateTime>() else {
        return Err((
            "Unix seconds or milliseconds, or a date and time as in ISO 8601, are expected",
            EXAMPLE,
        ));
    };
    let Some(zone) = zone else {
        return Err(("a time without a zone needs --zone", EXAMPLE));
    };
    let moment = civil.to_zoned(zone.clone());
    moment
        .map(|moment| moment.timestamp().as_second())
        .map_err(|_| ("a moment that can be is expected", EXAMPLE))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(cell: &str, kind: Kind) -> Result<String, &'static str> {
        values(cell, kind, None)
            .map(|all| all.join(","))
            .map_err(|(rule, _)| rule)
    }

    #[test]
    fn cells_become_what_graph_wants() {
        for (kind, cell, json) in [
            (Kind::Text, "a \"b\"", r#""a \"b\"""#),
            (Kind::Text, "0123", r#""0123""#),
            (Kind::Number, "129.90", "129.90"),
            (Kind::Number, "-1e2", "-1e2"),
            (Kind::Whole, "18446744073709551615", "18446744073709551615"),
            (Kind::Flag, "Yes", "true"),
            (Kind::Texts, "a,b", r#""a,b""#),
            (Kind::Texts, r#"["a","b"]"#, r#""a","b""#),
            (Kind::Ids, "a, b;c|d", r#""a","b","c","d""#),
            (Kind::Ids, "[1,2]", "1,2"),
            (Kind::Json, r#"[{"id":"a"}]"#, r#"[{"id":"a"}]"#),
            (Kind::Time, "1795341558", "1795341558"),
            (Kind::Time, "1795341558999", "1795341558"),
            (Kind::Time, "2026-11-22T10:00:00Z", "1795341600"),
            (Kind::Time, "2026-11-22 11:00:00+01:00", "1795341600"),
            (
                Kind::Time,
                "2026-11-22T11:00:00+01:00[Europe/Berlin]",
                "1795341600",
            ),
        ] {
            assert_eq!(one(cell, kind).as_deref(), Ok(json), "{cell}");
        }
        for (kind, cell) in [
            (Kind::Number, "1,50"),
            (Kind::Number, "€5"),
            (Kind::Number, "007"),
            (Kind::Number, "NaN"),
            (Kind::Number, "1e999"),
            (Kind::Whole, "1.0"),
            (Kind::Whole, "-1"),
            (Kind::Flag, "perhaps"),
            (Kind::Texts, "a\nb"),
            (Kind::Text, "a\rb"),
            (Kind::Ids, "a\nb"),
            (Kind::Texts, "[a"),
            (Kind::Json, "sku-1"),
            (Kind::Json, "[1"),
            (Kind::Time, "20261122"),
            (Kind::Time, "0000000001"),
            (Kind::Time, "22.11.2026 10:00"),
            (Kind::Time, "11/22/2026"),
            (Kind::Time, "2026-13-01T00:00:00Z"),
            (Kind::Time, "yesterday"),
        ] {
            let rule = one(cell, kind).unwrap_err();
            assert!(
                rule.contains("expected") || rule.contains("digits"),
                "{cell}"
            );
        }
        assert!(
            one("2026-11-22", Kind::Time)
                .unwrap_err()
                .contains("time of day")
        );
        assert!(
            one("2026-11-22T10:00:00", Kind::Time)
                .unwrap_err()
                .contains("--zone")
        );
    }

    #[test]
    fn numbers_that_a_spreadsheet_has_cut_are_told() {
        for cell in ["4.91511E+12", "4,91511E+12", "5E+11"] {
            let rule = one(cell, Kind::Texts).unwrap_err();
            assert!(rule.contains("scientific"), "{cell}");
        }
        for cell in ["12E+3x", "E+12", "491511", "4.9E12", "ab.c@e+1.example"] {
            assert!(one(cell, Kind::Texts).is_ok(), "{cell}");
        }
        assert!(one("[\n{\"id\":\"a\"}]", Kind::Json).is_ok());
    }

    #[test]
    fn a_zone_is_used_where_the_time_names_none() {
        let berlin = TimeZone::get("Europe/Berlin").unwrap();
        for (cell, seconds) in [
            ("2026-11-22 11:00:00", "1795341600"),
            ("2026-11-22T11:00", "1795341600"),
            ("2026-11-22T10:00:00Z", "1795341600"),
            ("2026-07-01T12:00:00", "1782900000"),
        ] {
            let found = values(cell, Kind::Time, Some(&berlin)).unwrap();
            assert_eq!(found, [seconds], "{cell}");
        }
    }
}
