//! Named moments at which the process may end; a test ends it there.

use std::fmt::Debug;
use std::sync::OnceLock;

/// Who is told of moments, if anybody.
pub static AT_POINTS: OnceLock<fn(&dyn Debug)> = OnceLock::new();

/// The moment is now.
pub fn reached(point: &dyn Debug) {
    if let Some(told) = AT_POINTS.get() {
        told(point);
    }
}
