//! Finds the bad events of a refused batch: says what to send next, and learns from the answer.
//!
//! It does no I/O and knows events by their place only. The first part to send is the whole; as
//! long as a part is refused it is cut in two. What is known is not asked again: when a whole was
//! refused and its first half is fine, the second half must be bad, and is cut without being sent.
//! But no event is given up that was not refused by itself.
//!
//! **Cost.** Finding `k` bad events among `n` takes at most `2·k·⌈log2 n⌉ + 1` requests, the first
//! one included: each part with a bad event costs at most two requests, one for each half, and a
//! bad event lies in `⌈log2 n⌉` parts that can be cut. Suspects that are named with a refusal, if
//! they are at most half of the part, are sent as a group of their own, first. If one of them is
//! bad that keeps to the bound; if none is, it has cost one request more, and no suspects are
//! listened to any longer. Parts that are too large blame nobody and stand outside of the bound.

use std::ops::Range;

/// The state of one search.
#[derive(Debug)]
pub(super) struct Bisect {
    /// Places of events, in the order in which they are cut.
    order: Vec<usize>,
    /// What is still to be looked at; the last comes first.
    stack: Vec<Part>,
    current: Option<Part>,
    /// Until a suspect has turned out to be fine.
    heeds_suspects: bool,
}

#[derive(Debug)]
struct Part {
    range: Range<usize>,
    known: Known,
    /// Made of suspects.
    suspected: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Known {
    Nothing,
    /// It is bad if the part before it, its other half, is fine.
    OneOfTwo,
    Bad,
}

/// What was said to a part.
#[derive(Clone, Copy, Debug)]
pub(super) enum Said<'a> {
    /// It was taken.
    Fine,
    /// It holds a bad event; perhaps one of these.
    Refused { suspects: &'a [usize] },
    /// It is too large; its first `first` events make half of it.
    TooLarge { first: usize },
    /// Its events met their end in another way, and nothing was learnt.
    Gone,
}

impl Bisect {
    /// A search among `events` events.
    pub(super) fn new(events: usize) -> Self {
        Self {
            order: (0..events).collect(),
            stack: vec![Part::of(0..events, Known::Nothing)],
            current: None,
            heeds_suspects: true,
        }
    }

    /// The places of the events to send next; the same ones until they are answered for. None
    /// when every event has met its end.
    pub(super) fn next(&mut self) -> Option<&[usize]> {
        while self.current.is_none() {
            let part = self.stack.pop()?;
            match part.range.len() {
                0 => {}
                len if len > 1 && part.known == Known::Bad => self.halve(&part.range, len / 2),
                _ => self.current = Some(part),
            }
        }
        self.events(&self.current.as_ref()?.range)
    }

    /// Takes in what was said to the events of [`Bisect::next`]. Gives the place of an event that
    /// was refused by itself.
    pub(super) fn answer(&mut self, said: Said<'_>) -> Option<usize> {
        let part = self.current.take()?;
        self.tell_the_other_half(said);
        let wrongly_suspected = part.suspected && matches!(said, Said::Fine);
        self.heeds_suspects &= !wrongly_suspected;
        let len = part.range.len();
        match said {
            Said::Fine | Said::Gone => None,
            Said::Refused { .. } | Said::TooLarge { .. } if len == 1 => {
                self.events(&part.range)?.first().copied()
            }
            Said::TooLarge { first } => {
                let cut = part.range.start + first.clamp(1, len - 1);
                self.push(cut..part.range.end, Known::Nothing);
                self.push(part.range.start..cut, Known::Nothing);
                None
            }
            Said::Refused { suspects } => {
                let named = self.gather(&part.range, suspects);
                if self.heeds_suspects && (1..=len / 2).contains(&named) {
                    self.halve(&part.range, named);
                    if let Some(group) = self.stack.last_mut() {
                        group.suspected = true;
                    }
                } else if part.suspected
                    && let Some(rest) = self.stack.pop()
                {
                    // most likely all of the rest is fine: it need not wait for this search
                    self.push(part.range, Known::Bad);
                    self.stack.push(rest);
                } else {
                    self.push(part.range, Known::Bad);
                }
                None
            }
        }
    }

    /// What an answer says about the part that is to come after the one it was given for.
    fn tell_the_other_half(&mut self, said: Said<'_>) {
        if let Some(other) = self.stack.last_mut()
            && other.known == Known::OneOfTwo
        {
            other.known = match said {
                Said::Fine => Known::Bad,
                Said::Refused { .. } | Said::TooLarge { .. } | Said::Gone => Known::Nothing,
            };
        }
    }

    /// Puts those of a part that are suspects first, the order kept otherwise; says how many.
    fn gather(&mut self, range: &Range<usize>, suspects: &[usize]) -> usize {
        let Some(part) = self.order.get_mut(range.clone()) else {
            return 0;
        };
        part.sort_by_key(|event| !suspects.contains(event));
        part.iter().filter(|event| suspects.contains(event)).count()
    }

    fn halve(&mut self, range: &Range<usize>, first: usize) {
        let cut = range.start + first;
        self.push(cut..range.end, Known::OneOfTwo);
        self.push(range.start..cut, Known::Nothing);
    }

    fn push(&mut self, range: Range<usize>, known: Known) {
        self.stack.push(Part::of(range, known));
    }

    fn events(&self, range: &Range<usize>) -> Option<&[usize]> {
        self.order.get(range.clone())
    }
}

impl Part {
    fn of(range: Range<usize>, known: Known) -> Self {
        Self {
            range,
            known,
            suspected: false,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    #[derive(Debug, Default)]
    struct Found {
        requests: usize,
        delivered: Vec<usize>,
        dead: BTreeSet<usize>,
    }

    /// Runs a search; `hint` names suspects for a part that is refused.
    fn run(n: usize, bad: &BTreeSet<usize>, mut hint: impl FnMut(&[usize]) -> Vec<usize>) -> Found {
        let (mut search, mut found) = (Bisect::new(n), Found::default());
        while let Some(events) = search.next().map(<[usize]>::to_vec) {
            found.requests += 1;
            assert!(found.requests < 10_000, "it does not end");
            assert_eq!(search.next(), Some(&*events), "it must wait for the answer");
            if events.iter().any(|event| bad.contains(event)) {
                let suspects = hint(&events);
                let culprit = search.answer(Said::Refused {
                    suspects: &suspects,
                });
                if let Some(culprit) = culprit {
                    assert_eq!(events, [culprit], "given up without a refusal of its own");
                    assert!(found.dead.insert(culprit));
                }
            } else {
                assert_eq!(search.answer(Said::Fine), None);
                found.delivered.extend(events);
            }
        }
        found
    }

    fn bound(n: usize, k: usize) -> usize {
        let levels = n.next_power_of_two().trailing_zeros() as usize;
        2 * k * levels + 1
    }

    fn check(n: usize, bad: &BTreeSet<usize>, found: &Found) {
        assert_eq!(&found.dead, bad, "exactly the bad ones die");
        let mut delivered = found.delivered.clone();
        delivered.sort_unstable();
        let good: Vec<usize> = (0..n).filter(|event| !bad.contains(event)).collect();
        assert_eq!(delivered, good, "every good one is delivered once");
    }

    proptest! {
        #[test]
        fn the_bad_ones_are_found_within_the_bound(n in 1_usize..300, picks in prop::collection::vec(any::<usize>(), 0..12)) {
            let bad: BTreeSet<usize> = picks.into_iter().map(|pick| pick % n).collect();
            let found = run(n, &bad, |_| Vec::new());
            check(n, &bad, &found);
            prop_assert!(found.requests <= bound(n, bad.len()), "{} requests", found.requests);
        }

        #[test]
        fn whoever_is_suspected_costs_one_request_more_at_most(
            n in 1_usize..300,
            picks in prop::collection::vec(any::<usize>(), 1..12),
            named in prop::collection::vec(prop::collection::vec(any::<usize>(), 0..20), 40),
        ) {
            let bad: BTreeSet<usize> = picks.into_iter().map(|pick| pick % n).collect();
            let mut named = named.into_iter().cycle();
            // any events at all, those of other parts included
            let found = run(n, &bad, |_| named.next().unwrap().into_iter().map(|pick| pick % n).collect());
            check(n, &bad, &found);
            prop_assert!(found.requests <= bound(n, bad.len()) + 1, "{} requests", found.requests);
        }

        #[test]
        fn rules_that_name_some_of_the_bad_keep_to_the_bound(n in 2_usize..300, picks in prop::collection::vec((any::<usize>(), 0..3_u8), 1..12)) {
            let kinds: std::collections::BTreeMap<usize, u8> = picks.into_iter().map(|(pick, kind)| (pick % n, kind)).collect();
            let bad: BTreeSet<usize> = kinds.keys().copied().collect();
            // the first bad event's kind is what the refusal is about
            let found = run(n, &bad, |events| {
                let kind = events.iter().find_map(|event| kinds.get(event));
                events.iter().copied().filter(|event| kinds.get(event) == kind).collect()
            });
            check(n, &bad, &found);
            prop_assert!(found.requests <= bound(n, bad.len()), "{} requests", found.requests);
        }

        #[test]
        fn too_large_blames_nobody_but_who_is_alone(sizes in prop::collection::vec(1_usize..100, 1..100), limit in 50_usize..300) {
            let mut search = Bisect::new(sizes.len());
            let (mut delivered, mut dead) = (Vec::new(), Vec::new());
            while let Some(events) = search.next().map(<[usize]>::to_vec) {
                if events.iter().map(|event| sizes[*event]).sum::<usize>() > limit {
                    dead.extend(search.answer(Said::TooLarge { first: events.len() / 2 }));
                } else {
                    search.answer(Said::Fine);
                    delivered.extend(events);
                }
            }
            prop_assert!(dead.iter().all(|event| sizes[*event] > limit));
            delivered.extend(&dead);
            delivered.sort_unstable();
            prop_assert_eq!(delivered, (0..sizes.len()).collect::<Vec<_>>());
        }
    }

    #[test]
    fn a_right_suspect_is_found_in_three_requests() {
        let bad = BTreeSet::from([700]);
        let found = run(1000, &bad, |_| vec![700]);
        assert_eq!(found.requests, 3);
        assert_eq!(found.delivered.len(), 999);
        // without a hint
        assert!(run(1000, &bad, |_| Vec::new()).requests <= 21);
    }

    #[test]
    fn the_rest_goes_before_the_suspects_are_searched() {
        let mut search = Bisect::new(10);
        search.next();
        search.answer(Said::Refused {
            suspects: &[3, 7, 8],
        });
        assert_eq!(search.next(), Some(&[3, 7, 8][..]));
        search.answer(Said::Refused { suspects: &[] });
        assert_eq!(search.next(), Some(&[0, 1, 2, 4, 5, 6, 9][..]));
        search.answer(Said::Fine);
        assert_eq!(search.next(), Some(&[3][..]));
    }

    #[test]
    fn what_is_gone_teaches_nothing() {
        let mut search = Bisect::new(4);
        search.next();
        search.answer(Said::Refused { suspects: &[] });
        assert_eq!(search.next(), Some(&[0, 1][..]));
        search.answer(Said::Gone);
        // were it known to be bad, its first half would be sent now
        assert_eq!(search.next(), Some(&[2, 3][..]));
        assert_eq!(search.answer(Said::Fine), None);
        assert_eq!(search.next(), None);
    }
}
