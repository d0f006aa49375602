//! The triangle of vintages: a row for each month in which points came, a square for each month of their age, the darker the
//! more is left of them.

use crate::failure::Failure;
use anyhow::Result;
use plotters::prelude::*;

/// Pixels.
const CELL_WIDTH: i32 = 26;
const CELL_HEIGHT: i32 = 20;
const NAMES: i32 = 70;
const HEAD: i32 = 62;
const MARGIN: i32 = 12;
/// Pixels of a title, at least.
const WIDTH_MIN: i32 = 520;
/// Ages and vintages drawn, at most: the latest of them.
const DRAWN_MAX: usize = 60;
const INK: RGBColor = RGBColor(0x33, 0x33, 0x33);
const FULL: RGBColor = RGBColor(0x2a, 0x7f, 0x62);
const NONE: RGBColor = RGBColor(0xf1, 0xf1, 0xee);

/// Points that came in one month.
pub(super) struct Vintage {
    /// The month.
    pub month: String,
    /// How many.
    pub came: i64,
    /// How many months ago that is.
    pub age: i64,
    /// What was left after some of these months; of those between, nothing changed.
    pub left: Vec<(i64, i64)>,
}

/// Draws it: the text of an SVG.
///
/// # Errors
/// It can't be drawn.
pub(super) fn triangle(title: &str, vintages: &[Vintage]) -> Result<String> {
    let vintages = &vintages[vintages.len().saturating_sub(DRAWN_MAX)..];
    let rows: Vec<(&str, Vec<i64>)> = vintages.iter().map(|vintage| (vintage.month.as_str(), per_mille(vintage))).collect();
    let ages = rows.iter().map(|(_, cells)| cells.len()).max().unwrap_or(0) as i32;
    let width = (NAMES + ages * CELL_WIDTH + MARGIN).max(WIDTH_MIN) as u32;
    let height = (HEAD + rows.len() as i32 * CELL_HEIGHT + MARGIN) as u32;
    let mut svg = String::new();
    draw(&SVGBackend::with_string(&mut svg, (width, height)).into_drawing_area(), title, &rows, ages)
        .map_err(|error| Failure::usage(format!("\"{title}\" could not be drawn: {error}")))?;
    Ok(svg)
}

/// What is left at the end of each month of age, of 1,000 that came.
fn per_mille(vintage: &Vintage) -> Vec<i64> {
    let mut left = vintage.came;
    let ages = 0..=vintage.age.min(DRAWN_MAX as i64);
    let at = |age: i64| {
        left = vintage.left.iter().find(|(known, _)| *known == age).map_or(left, |(_, left)| *left);
        (i128::from(left.max(0)) * 1_000 / i128::from(vintage.came.max(1))).min(1_000) as i64
    };
    ages.map(at).collect()
}

fn draw(
    area: &DrawingArea<SVGBackend<'_>, plotters::coord::Shift>,
    title: &str,
    rows: &[(&str, Vec<i64>)],
    ages: i32,
) -> std::result::Result<(), Box<dyn std::error::Error>> {
    let font = |size: i32| ("sans-serif", size).into_font().color(&INK);
    area.draw(&Text::new(title.to_owned(), (8, 10), font(16)))?;
    for age in (0..ages).step_by(3) {
        area.draw(&Text::new(age.to_string(), (NAMES + age * CELL_WIDTH + 6, HEAD - 20), font(12)))?;
    }
    for ((month, cells), top) in rows.iter().zip((0..).map(|row| HEAD + row * CELL_HEIGHT)) {
        area.draw(&Text::new((*month).to_owned(), (8, top + 3), font(12)))?;
        for (left, from) in cells.iter().zip((0..).map(|age| NAMES + age * CELL_WIDTH)) {
            let square = [(from, top), (from + CELL_WIDTH - 2, top + CELL_HEIGHT - 2)];
            area.draw(&Rectangle::new(square, shade(*left).filled()))?;
            let ink = if *left > 550 { WHITE } else { INK };
            let label = if *left == 0 { "·".to_owned() } else { ((left + 5) / 10).to_string() };
            area.draw(&Text::new(label, (from + 4, top + 4), ("sans-serif", 10).into_font().color(&ink)))?;
        }
    }
    area.present()?;
    Ok(())
}

/// Between nothing and all.
fn shade(per_mille: i64) -> RGBColor {
    let between = |none: u8, full: u8| (i64::from(none) + (i64::from(full) - i64::from(none)) * per_mille / 1_000) as u8;
    RGBColor(between(NONE.0, FULL.0), between(NONE.1, FULL.1), between(NONE.2, FULL.2))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_by_age() {
        let all = [
            Vintage { month: "2025-01".into(), came: 1_000, age: 4, left: vec![(0, 1_000), (1, 750), (3, 0)] },
            Vintage { month: "2025-02".into(), came: 40, age: 3, left: vec![(0, 40), (1, 30)] },
        ];
        assert_eq!(per_mille(&all[0]), [1_000, 750, 750, 0, 0]);
        assert_eq!(per_mille(&all[1]), [1_000, 750, 750, 750]);
        let svg = triangle("left", &all).expect("drawn");
        assert!(svg.contains("2025-02") && svg.contains("75") && svg.contains("left"));
        assert!(triangle("nothing", &[]).is_ok());
    }
}
