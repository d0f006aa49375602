//! Wall clock, processor time and memory of a phase, without the making of its facts.

use crate::telemetry::{Stopwatch, resident_bytes_peak};

/// Clock ticks of `/proc` in a second: the same on every Linux.
const TICKS: f64 = 100.0;

/// Measures.
pub(super) struct Gauge {
    name: String,
    watch: Stopwatch,
    paused: Option<(Stopwatch, f64)>,
    paused_seconds: f64,
    paused_cpu: f64,
    cpu: f64,
}

/// What was measured.
pub(super) struct Reading {
    /// Of what.
    pub name: String,
    /// How many.
    pub facts: u64,
    /// Wall clock.
    pub seconds: f64,
    /// Processor time of all threads, seconds.
    pub cpu: f64,
    /// Resident memory, the most of it.
    pub peak_bytes: u64,
}

impl Gauge {
    /// From now.
    pub fn start(name: String) -> Gauge {
        // Forgets the peak of the phase before; where the system does not let us, peaks only grow.
        let _ = std::fs::write("/proc/self/clear_refs", "5");
        Gauge { name, watch: Stopwatch::start(), paused: None, paused_seconds: 0.0, paused_cpu: 0.0, cpu: process_cpu() }
    }

    /// What this thread does now is not measured; what others do is.
    pub fn pause(&mut self) {
        self.paused = Some((Stopwatch::start(), thread_cpu()));
    }

    /// It is again.
    pub fn go_on(&mut self) {
        if let Some((watch, cpu)) = self.paused.take() {
            self.paused_seconds += watch.elapsed().as_secs_f64();
            self.paused_cpu += thread_cpu() - cpu;
        }
    }

    /// The end.
    pub fn end(self, facts: u64) -> Reading {
        let seconds = self.watch.elapsed().as_secs_f64() - self.paused_seconds;
        let cpu = (process_cpu() - self.cpu - self.paused_cpu).max(0.0);
        Reading { name: self.name, facts, seconds, cpu, peak_bytes: resident_bytes_peak().unwrap_or(0) }
    }
}

impl Reading {
    /// Facts a second.
    pub fn rate(&self) -> u64 {
        (self.facts as f64 / self.seconds.max(1e-9)) as u64
    }

    /// Processor time of a fact, microseconds.
    pub fn cpu_micros(&self) -> f64 {
        self.cpu * 1e6 / self.facts.max(1) as f64
    }
}

/// Of all threads, those that have ended too, seconds.
fn process_cpu() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    // Behind the name, which may have blanks in it: utime and stime are the 12th and 13th.
    let fields = stat.rsplit(") ").next().unwrap_or_default().split(' ').skip(11).take(2);
    fields.filter_map(|ticks| ticks.parse::<f64>().ok()).sum::<f64>() / TICKS
}

/// Of this thread, seconds.
fn thread_cpu() -> f64 {
    let stat = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    stat.split(' ').next().and_then(|nanos| nanos.parse::<f64>().ok()).unwrap_or(0.0) / 1e9
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_paused_is_not_measured() {
        let spin = || (0..20_000_000_u64).fold(0, |sum, number| sum ^ std::hint::black_box(number).wrapping_mul(31));
        let mut gauge = Gauge::start("x".into());
        gauge.pause();
        std::hint::black_box((0..5).fold(0, |sum, _| sum ^ spin()));
        gauge.go_on();
        let idle = gauge.end(1);
        let gauge = Gauge::start("x".into());
        std::hint::black_box((0..5).fold(0, |sum, _| sum ^ spin()));
        let busy = gauge.end(1);
        // Processor time is that of the whole process, and other tests run in it.
        assert!(idle.seconds < busy.seconds / 2.0 && busy.rate() > 0, "{} {}", idle.seconds, busy.seconds);
        let before = thread_cpu();
        std::hint::black_box(spin());
        assert!(thread_cpu() > before && process_cpu() > 0.0);
    }
}
