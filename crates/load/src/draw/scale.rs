//! Where a value lies on an axis, and which values an axis names.

/// An axis on which each step multiplies: latencies differ by powers of ten.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LogScale {
    low: f64,
    high: f64,
}

impl LogScale {
    /// An axis that holds all from `low` to `high`, however close these are.
    pub fn over(low: u64, high: u64) -> LogScale {
        let (low, high) = (low.max(1) as f64, high.max(low).max(1) as f64);
        // At least a factor of two and a half, or a single value would fill the picture.
        let spread = (2.5 / (high / low)).max(1.0).sqrt() * 1.04;
        LogScale { low: low / spread, high: high * spread }
    }

    /// Where a value lies, from 0 (the left end) to 1 (the right one).
    pub fn place(&self, value: f64) -> f64 {
        let place = (value.max(1e-9) / self.low).ln() / (self.high / self.low).ln();
        place.clamp(0.0, 1.0)
    }

    /// The value at a place.
    pub fn value(&self, place: f64) -> f64 {
        self.low * (self.high / self.low).powf(place)
    }

    /// Round values within the axis, at most `most`: 1, 2, 5 of each power of ten, or fewer.
    pub fn ticks(&self, most: usize) -> Vec<f64> {
        const STEPS: [&[f64]; 4] =
            [&[1.0, 1.5, 2.0, 3.0, 4.0, 5.0, 6.0, 8.0], &[1.0, 2.0, 5.0], &[1.0, 3.0], &[1.0]];
        let decades = self.low.log10().floor() as i32..=self.high.log10().ceil() as i32;
        let within = |steps: &[f64]| -> Vec<f64> {
            let all = decades.clone().flat_map(|d| steps.iter().map(move |s| s * 10f64.powi(d)));
            all.filter(|value| (self.low..=self.high).contains(value)).collect()
        };
        let mut last = Vec::new();
        for steps in STEPS {
            last = within(steps);
            if last.len() <= most {
                return last;
            }
        }
        let stride = last.len().div_ceil(most.max(1));
        last.into_iter().step_by(stride).collect()
    }
}

/// The end of an axis that begins at nothing and holds `most`: each of `steps` steps is a round
/// number.
pub fn round_top(most: f64, steps: usize) -> f64 {
    if !most.is_finite() || most <= 0.0 {
        return 1.0;
    }
    let steps = steps.max(1) as f64;
    let rough = most / steps;
    let power = 10f64.powf(rough.log10().floor());
    const ROUND: [f64; 9] = [1.0, 1.5, 2.0, 2.5, 3.0, 4.0, 5.0, 6.0, 8.0];
    let step = ROUND.into_iter().find(|step| step * power >= rough * 0.999_999);
    step.unwrap_or(10.0) * power * steps
}

#[cfg(test)]
mod tests {
    use super::*;

    /// B1: what is measured lies within the axis, in order, and ticks are few and round.
    #[test]
    fn log() {
        let scale = LogScale::over(100_000, 5_000_000);
        assert!(scale.place(100_000.0) > 0.0 && scale.place(5_000_000.0) < 1.0);
        assert!(scale.place(200_000.0) < scale.place(300_000.0));
        assert!((scale.value(scale.place(777_777.0)) - 777_777.0).abs() < 1.0);
        assert_eq!(scale.ticks(6), [1e5, 2e5, 5e5, 1e6, 2e6, 5e6]);
        assert_eq!(scale.ticks(4), [1e5, 3e5, 1e6, 3e6]);
        assert!(LogScale::over(1, u64::MAX).ticks(5).len() <= 5);
    }

    /// B1: one value alone stands in the middle.
    #[test]
    fn narrow() {
        for value in [0, 1, 1_000_000, u64::MAX] {
            let scale = LogScale::over(value, value);
            assert!((scale.place(value.max(1) as f64) - 0.5).abs() < 1e-9, "{scale:?}");
            assert!(!scale.ticks(6).is_empty(), "{scale:?}");
        }
    }

    /// B1: the top of an axis is round and holds what is to be shown.
    #[test]
    fn tops() {
        assert_eq!(round_top(187.0, 4), 200.0);
        assert_eq!(round_top(200.0, 4), 200.0);
        assert_eq!(round_top(0.0, 4), 1.0);
        assert_eq!(round_top(201.0, 4), 240.0);
        assert_eq!(round_top(390.0, 4), 400.0);
    }
}
