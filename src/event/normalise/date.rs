//! Dates of birth, whole and in parts.

use std::fmt::Write as _;

use super::Context;

/// `db`: `YYYYMMDD`, from three groups of digits or one group of eight.
///
/// A group above 31 is the year, wherever it stands; otherwise the third is. Of the other two the
/// first is the month unless it exceeds 12.
pub(in crate::event) fn birth<'t>(
    text: &'t str,
    context: &Context,
    buffer: &'t mut String,
) -> Option<&'t str> {
    let mut runs = text
        .split(|c: char| !c.is_ascii_digit())
        .filter(|run| !run.is_empty());
    let first = runs.next()?;
    let Some(second) = runs.next() else {
        return whole(first, context);
    };
    let (n1, n2, n3) = (number(first), number(second), number(runs.next()?));
    let (year, a, b) = if n1 > 31 {
        (n1, n2, n3)
    } else if n2 > 31 {
        (n2, n3, n1)
    } else {
        (n3, n1, n2)
    };
    let (month, day) = if a > 12 { (b, a) } else { (a, b) };
    if !is_date(year, month, day, context) {
        return None;
    }
    buffer.clear();
    write!(buffer, "{year:04}{month:02}{day:02}").ok()?;
    Some(buffer)
}

fn whole<'t>(run: &'t str, context: &Context) -> Option<&'t str> {
    if run.len() != 8 {
        return None;
    }
    let date = number(run);
    let (year, month, day) = (date / 10_000, date / 100 % 100, date % 100);
    is_date(year, month, day, context).then_some(run)
}

/// A run of digits; one too long for any date counts as out of range.
fn number(digits: &str) -> u64 {
    digits.parse().unwrap_or(u64::MAX)
}

fn is_date(year: u64, month: u64, day: u64, context: &Context) -> bool {
    is_year(year, context) && (1..=12).contains(&month) && (1..=31).contains(&day)
}

fn is_year(year: u64, context: &Context) -> bool {
    (1900..=this_year(context)).contains(&year)
}

fn this_year(context: &Context) -> u64 {
    jiff::Timestamp::from_millisecond(context.now.0)
        .map(|now| jiff::tz::Offset::UTC.to_datetime(now).year())
        .ok()
        .and_then(|year| u64::try_from(year).ok())
        .unwrap_or(0)
}

/// `doby`: four digits, 1900 to the current year.
pub(in crate::event) fn birth_year<'t>(
    text: &'t str,
    context: &Context,
    _: &'t mut String,
) -> Option<&'t str> {
    let fits = text.len() == 4 && is_digits(text) && is_year(number(text), context);
    fits.then_some(text)
}

/// `dobm`: 1 to 12, two digits.
pub(in crate::event) fn birth_month<'t>(
    text: &'t str,
    _: &Context,
    buffer: &'t mut String,
) -> Option<&'t str> {
    two_digits(text, 12, buffer)
}

/// `dobd`: 1 to 31, two digits.
pub(in crate::event) fn birth_day<'t>(
    text: &'t str,
    _: &Context,
    buffer: &'t mut String,
) -> Option<&'t str> {
    two_digits(text, 31, buffer)
}

fn two_digits<'t>(text: &str, most: u64, buffer: &'t mut String) -> Option<&'t str> {
    let fits = (1..=2).contains(&text.len()) && is_digits(text);
    let value = number(text);
    if !fits || !(1..=most).contains(&value) {
        return None;
    }
    buffer.clear();
    write!(buffer, "{value:02}").ok()?;
    Some(buffer)
}

fn is_digits(text: &str) -> bool {
    text.bytes().all(|b| b.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::super::testing::check;
    use super::*;

    #[test]
    fn dates_of_birth() {
        check(
            birth,
            &[
                ("2/16/1997", "19970216"),
                ("16/2/1997", "19970216"),
                ("1997-02-16", "19970216"),
                ("02-1997-16", "19970216"),
                ("1985-13-12", "19851213"),
                ("1997-02-16T10:00:00Z", "19970216"),
                ("1997年2月16日", "19970216"),
                ("19970216", "19970216"),
                ("19971301", ""),
                ("1997-02", ""),
                ("02/16/97", ""),
                ("2027-01-01", ""),
                ("2026-12-31", "20261231"),
                ("1899-12-31", ""),
                ("99999999999999999999999-1-1", ""),
                ("none", ""),
            ],
        );
    }

    #[test]
    fn parts_of_a_date() {
        check(
            birth_year,
            &[("1997", "1997"), ("97", ""), ("2027", ""), ("199７", "")],
        );
        check(
            birth_month,
            &[
                ("2", "02"),
                ("12", "12"),
                ("13", ""),
                ("0", ""),
                ("002", ""),
            ],
        );
        check(
            birth_day,
            &[("9", "09"), ("31", "31"), ("32", ""), ("1a", "")],
        );
    }
}
