//! Requests in flight on one connection: when each was to be sent, in the order of their answers.

use std::collections::VecDeque;

/// Requests that wait for their answers. Those that were to be sent at the same time are kept as one
/// entry: a connection that is 16 deep sends most of them together.
#[derive(Debug, Default)]
pub(crate) struct Flight {
    runs: VecDeque<(u64, u64)>,
    count: u64,
}

impl Flight {
    /// How many are in flight.
    pub(crate) fn len(&self) -> u64 {
        self.count
    }

    /// `count` more, to be sent at `time`.
    pub(crate) fn push(&mut self, time: u64, count: u64) {
        match self.runs.back_mut() {
            Some((last, so_many)) if *last == time => *so_many += count,
            _ => self.runs.push_back((time, count)),
        }
        self.count += count;
    }

    /// The oldest ones that were to be sent at the same time, at most `most` of them: the time and
    /// how many.
    pub(crate) fn pop(&mut self, most: u64) -> Option<(u64, u64)> {
        let (time, count) = self.runs.front_mut()?;
        let (time, taken) = (*time, (*count).min(most));
        *count -= taken;
        if *count == 0 {
            self.runs.pop_front();
        }
        self.count -= taken;
        Some((time, taken))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// B2: each answer finds the time of its own request, however they were grouped.
    #[test]
    fn order() {
        let mut flight = Flight::default();
        flight.push(5, 2);
        flight.push(5, 1);
        flight.push(9, 1);
        assert_eq!(flight.len(), 4);
        assert_eq!(flight.pop(2), Some((5, 2)));
        assert_eq!(flight.pop(2), Some((5, 1)));
        assert_eq!(flight.pop(2), Some((9, 1)));
        assert_eq!((flight.pop(1), flight.len()), (None, 0));
    }
}
