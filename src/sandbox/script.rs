//! The script in play: which fault strikes which request.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use serde_json::Value;

use super::accounts::Edge;
use super::faults::{Action, Fault, FaultError, MAX_FAULTS, Times};
use crate::pixel::PixelId;

/// The script in play.
#[derive(Debug, Default)]
pub(super) struct Script(Mutex<VecDeque<Fault>>);

impl Script {
    /// Appends; its count is made plain, so that what is listed is what is left.
    pub(super) fn add(&self, fault: Fault) {
        self.lock().push_back(counted(fault));
    }

    /// Appends all of them or, when one cannot be used or they are too many, none.
    pub(super) fn add_checked(&self, faults: Vec<Fault>) -> Result<(), FaultError> {
        faults.iter().try_for_each(Fault::check)?;
        if self.lock().len() + faults.len() > MAX_FAULTS {
            return Err(FaultError::Full);
        }
        for fault in faults {
            self.add(fault);
        }
        Ok(())
    }

    /// Takes the place of the whole script, at once.
    pub(super) fn replace(&self, faults: Vec<Fault>) {
        let mut script = self.lock();
        script.clear();
        script.extend(faults.into_iter().map(counted));
    }

    pub(super) fn clear(&self) {
        self.lock().clear();
    }

    pub(super) fn list(&self) -> Vec<Fault> {
        self.lock().iter().cloned().collect()
    }

    /// Takes the first fault that fits a request to the events edge, and counts it.
    pub(super) fn take(&self, pixel: PixelId, events: &[Value]) -> Option<Action> {
        self.take_first(|fault| fault.fits(pixel, events))
    }

    /// Takes the first fault that fits a call to another edge, and counts it.
    pub(super) fn take_call(&self, edge: Edge, pixel: Option<PixelId>) -> Option<Action> {
        self.take_first(|fault| fault.fits_call(edge, pixel))
    }

    fn take_first(&self, fits: impl Fn(&Fault) -> bool) -> Option<Action> {
        let mut script = self.lock();
        let at = script.iter().position(fits)?;
        let fault = script.get_mut(at)?;
        let action = fault.action.clone();
        match &mut fault.times {
            Some(Times::Count(left)) if *left > 1 => *left -= 1,
            Some(Times::Forever) => {}
            _ => {
                script.remove(at);
            }
        }
        Some(action)
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<Fault>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The fault with its count made plain.
fn counted(mut fault: Fault) -> Fault {
    fault.times = Some(fault.times.unwrap_or(fault.action.default_times()));
    fault
}

#[cfg(test)]
mod tests {
    use super::super::faults::refused_index;
    use super::super::samples::with_id;
    use super::*;

    fn pixel(id: u64) -> PixelId {
        PixelId::from_u64(id).unwrap()
    }

    #[test]
    fn faults_are_taken_in_order_and_by_pixel() {
        let script = Script::default();
        script.add(Fault::throttle(4).on(pixel(7)).times(2));
        script.add(Fault::status(503));
        script.add(Fault::cut().forever());
        let names: Vec<_> = [1, 7, 7, 7, 1]
            .map(|id| script.take(pixel(id), &[]).map(|action| action.name()))
            .into();
        let expected = ["status", "throttle", "throttle", "cut", "cut"].map(Some);
        assert_eq!(names, expected);
        script.clear();
        assert_eq!(script.take(pixel(1), &[]), None);
    }

    #[test]
    fn a_fault_strikes_its_edge_only() {
        let script = Script::default();
        script.add(Fault::status(503).at(Edge::DebugToken));
        script.add(Fault::throttle(4).at(Edge::Pixel).on(pixel(7)));
        assert_eq!(script.take(pixel(7), &[]), None);
        assert_eq!(script.take_call(Edge::Me, None), None);
        assert_eq!(script.take_call(Edge::Pixel, Some(pixel(8))), None);
        assert!(script.take_call(Edge::Pixel, Some(pixel(7))).is_some());
        assert!(script.take_call(Edge::DebugToken, None).is_some());
        assert_eq!(script.list(), []);
    }

    #[test]
    fn a_refused_event_is_found_by_id_or_place_and_stays() {
        let script = Script::default();
        script.add(Fault::refuse_event("b", None));
        let batch = [with_id("a"), with_id("b")];
        for _ in 0..3 {
            assert!(script.take(pixel(1), &batch).is_some());
            assert!(script.take(pixel(1), &batch[..1]).is_none());
        }
        assert_eq!(refused_index(None, Some(1), &batch), Some(1));
        assert_eq!(refused_index(None, Some(2), &batch), None);
    }

    #[test]
    fn a_star_means_every_id_that_begins_so() {
        let two = 2 * with_id("poiso").to_string().len();
        let script = Script::default();
        script.replace(vec![
            Fault::refuse_event("poison-*", None),
            Fault::from(Action::TooLarge { bytes: two }).forever(),
        ]);
        let name = |ids: &[&str]| {
            let events: Vec<_> = ids.iter().map(|id| with_id(id)).collect();
            script.take(pixel(1), &events).map(|action| action.name())
        };
        assert_eq!(name(&["a", "poison-7"]), Some("refuse_event"));
        assert_eq!(name(&["a", "poiso", "x-poison-"]), Some("too_large"));
        assert_eq!(name(&["a", "poison"]), None);
        script.replace(vec![]);
        assert_eq!(script.list(), []);
    }

    #[test]
    fn a_full_script_takes_all_or_none() {
        let script = Script::default();
        let many = vec![Fault::status(500); MAX_FAULTS + 1];
        assert_eq!(script.add_checked(many), Err(FaultError::Full));
        assert_eq!(script.list(), []);
    }
}
