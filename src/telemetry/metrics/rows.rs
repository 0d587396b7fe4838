//! A gauge whose rows come and go.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};

use prometheus::{GaugeVec, Registry};

/// A gauge whose rows, of so many labels, are set together. A row that is not set again goes, and
/// at no moment is one missing that stays.
#[derive(Clone, Debug)]
pub struct Rows<const N: usize> {
    gauge: GaugeVec,
    shown: Arc<Mutex<BTreeSet<[String; N]>>>,
}

impl<const N: usize> Rows<N> {
    pub(super) fn new(
        registry: &Registry,
        name: &str,
        help: &str,
        labels: [&str; N],
    ) -> Result<Self, prometheus::Error> {
        let gauge = GaugeVec::new(super::opts(name, help), &labels)?;
        Ok(Self {
            gauge: super::keep(registry, gauge)?,
            shown: Arc::default(),
        })
    }

    /// Shows these rows and no others.
    pub fn set_all(&self, rows: Vec<([String; N], f64)>) {
        let mut shown = self.shown.lock().unwrap_or_else(PoisonError::into_inner);
        let mut now = BTreeSet::new();
        for (labels, value) in rows {
            self.gauge.with_label_values(&labels).set(value);
            now.insert(labels);
        }
        for gone in shown.difference(&now) {
            // it was shown, so it is there
            let _ = self.gauge.remove_label_values(gone);
        }
        *shown = now;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_that_are_not_set_again_go() {
        let registry = Registry::new();
        let rows = Rows::new(&registry, "x", "help", super::super::TOKEN).unwrap();
        let labels = |pixel: &str| [pixel, "ab12cd34", "current"].map(str::to_owned);
        let count = || {
            registry
                .gather()
                .first()
                .map_or(0, |one| one.get_metric().len())
        };
        rows.set_all(vec![(labels("1"), 1.0), (labels("2"), 2.0)]);
        assert_eq!(count(), 2);
        rows.set_all(vec![(labels("2"), 3.0)]);
        assert_eq!(count(), 1);
        rows.set_all(Vec::new());
        assert_eq!(count(), 0);
    }
}
