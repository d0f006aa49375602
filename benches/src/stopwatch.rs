//! Wall time beside CPU time of the whole process, and memory.

use rustix::time::{ClockId, clock_gettime};
use std::time::Duration;

/// Started now.
pub struct Stopwatch {
    wall: Duration,
    cpu: Duration,
}

/// What passed.
#[derive(Clone, Copy, Debug)]
pub struct Lap {
    /// On the wall.
    pub wall: Duration,
    /// Of all threads of this process.
    pub cpu: Duration,
}

fn now(clock: ClockId) -> Duration {
    let time = clock_gettime(clock);
    Duration::new(time.tv_sec.unsigned_abs(), u32::try_from(time.tv_nsec).unwrap_or(0))
}

impl Stopwatch {
    /// Starts.
    pub fn start() -> Stopwatch {
        Stopwatch { wall: now(ClockId::Monotonic), cpu: now(ClockId::ProcessCPUTime) }
    }

    /// What passed since.
    pub fn lap(&self) -> Lap {
        Lap { wall: now(ClockId::Monotonic) - self.wall, cpu: now(ClockId::ProcessCPUTime) - self.cpu }
    }
}

impl Lap {
    /// Both, one after the other.
    pub fn and(self, other: Lap) -> Lap {
        Lap { wall: self.wall + other.wall, cpu: self.cpu + other.cpu }
    }

    /// Events in a second.
    pub fn rate(&self, events: usize) -> f64 {
        events as f64 / self.wall.as_secs_f64()
    }

    /// CPU of one event, microseconds.
    pub fn cpu_us(&self, events: usize) -> f64 {
        self.cpu.as_secs_f64() * 1e6 / events as f64
    }
}

/// A figure of this process from `/proc/self/status`, in MiB.
pub fn memory_mib(field: &str) -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with(field)).unwrap_or_default();
    line.split_ascii_whitespace().nth(1).and_then(|kib| kib.parse::<u64>().ok()).unwrap_or(0) / 1024
}

/// The machine's load over the last minute.
pub fn load() -> String {
    std::fs::read_to_string("/proc/loadavg").unwrap_or_default().split(' ').next().unwrap_or_default().to_string()
}
