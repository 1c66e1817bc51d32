//! Pauses between attempts.

use std::time::Duration;

/// Pauses that double up to a longest one, each shortened at random so that clients do not act in step.
pub(crate) struct Backoff {
    first: Duration,
    next: Duration,
    longest: Duration,
}

impl Backoff {
    pub(crate) fn new(first: Duration, longest: Duration) -> Self {
        Self { first, next: first, longest }
    }

    pub(crate) fn pause(&mut self) -> Duration {
        let pause = self.next.mul_f64(0.5 + fastrand::f64() / 2.0);
        self.next = (self.next * 2).min(self.longest);
        pause
    }

    pub(crate) fn reset(&mut self) {
        self.next = self.first;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_the_longest_and_start_over() {
        let (first, longest) = (Duration::from_millis(10), Duration::from_millis(35));
        let mut backoff = Backoff::new(first, longest);
        for ms in [10, 20, 35, 35] {
            let most = Duration::from_millis(ms);
            let pause = backoff.pause();
            assert!(pause >= most / 2 && pause <= most, "{pause:?} is not within {most:?}");
        }
        backoff.reset();
        assert!(backoff.pause() <= first);
    }
}
