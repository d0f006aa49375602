//! Pictures of reports, as SVG: what a table says in a hundred rows.

use crate::failure::Failure;
use anyhow::Result;
use plotters::prelude::*;
use std::path::Path;

/// Pixels.
const WIDTH: u32 = 1_120;
/// Pixels.
const HEIGHT: u32 = 560;
/// Pixels of the left panel.
const LEFT: i32 = 330;
/// Pixels of a picture of pairs: its width, a pair, its title, names, and the longest bar.
const PAIR_WIDTH: u32 = 760;
const PAIR_HEIGHT: u32 = 34;
const PAIR_MARGIN: u32 = 40;
const PAIR_NAMES: i32 = 190;
const PAIR_BARS: i32 = 450;
const UP: RGBColor = RGBColor(0x2a, 0x7f, 0x62);
const DOWN: RGBColor = RGBColor(0xc0, 0x4a, 0x3a);
const BAR: RGBColor = RGBColor(0x4a, 0x6f, 0xa5);
const INK: RGBColor = RGBColor(0x33, 0x33, 0x33);
const FAINT: RGBColor = RGBColor(0xe4, 0xe4, 0xe4);

/// Moves between tiers in one month.
pub(super) struct Month {
    /// `2011-03`.
    pub name: String,
    /// Moves up.
    pub up: u32,
    /// Moves down.
    pub down: u32,
}

/// Draws who was ever in a tier, and the moves of each month: up above the line, down below.
///
/// # Errors
/// The file can't be written.
pub(super) fn tiers(path: &Path, title: &str, ever: &[(String, u32)], months: &[Month]) -> Result<()> {
    let failed = |error: &dyn std::fmt::Display| Failure::usage(format!("{} could not be drawn: {error}", path.display()));
    let root = SVGBackend::new(path, (WIDTH, HEIGHT)).into_drawing_area();
    root.fill(&WHITE).map_err(|error| failed(&error))?;
    let root = root.titled(title, ("sans-serif", 22).into_font().color(&INK)).map_err(|error| failed(&error))?;
    let (left, right) = root.split_horizontally(LEFT);
    members(&left, ever).map_err(|error| failed(&error))?;
    moves(&right, months).map_err(|error| failed(&error))?;
    root.present().map_err(|error| failed(&error))?;
    Ok(())
}

type Drawn = Result<(), Box<dyn std::error::Error>>;
type Area<'a> = DrawingArea<SVGBackend<'a>, plotters::coord::Shift>;

/// Members ever in a tier.
fn members(area: &Area<'_>, ever: &[(String, u32)]) -> Drawn {
    let most = ever.iter().map(|(_, members)| *members).max().unwrap_or(0).max(1);
    let mut chart = ChartBuilder::on(area)
        .caption("members ever in the tier", ("sans-serif", 15).into_font().color(&INK))
        .margin(14)
        .x_label_area_size(34)
        .build_cartesian_2d((0..ever.len().saturating_sub(1) as u32).into_segmented(), 0..most + most / 8 + 1)?;
    let label = |segment: &SegmentValue<u32>| match segment {
        SegmentValue::CenterOf(index) | SegmentValue::Exact(index) => {
            ever.get(*index as usize).map_or(String::new(), |(name, _)| name.clone())
        }
        SegmentValue::Last => String::new(),
    };
    chart
        .configure_mesh()
        .disable_mesh()
        .disable_y_axis()
        .x_labels(ever.len())
        .x_label_formatter(&label)
        .axis_style(INK.mix(0.4))
        .label_style(("sans-serif", 14).into_font().color(&INK))
        .draw()?;
    chart.draw_series(ever.iter().enumerate().map(|(index, (_, members))| {
        let (from, to) = (SegmentValue::Exact(index as u32), SegmentValue::Exact(index as u32 + 1));
        let mut bar = Rectangle::new([(from, 0), (to, *members)], BAR.filled());
        bar.set_margin(0, 0, 9, 9);
        bar
    }))?;
    chart.draw_series(ever.iter().enumerate().map(|(index, (_, members))| {
        let style = ("sans-serif", 14).into_font().color(&INK).pos(plotters::style::text_anchor::Pos::new(
            plotters::style::text_anchor::HPos::Center,
            plotters::style::text_anchor::VPos::Bottom,
        ));
        Text::new(members.to_string(), (SegmentValue::CenterOf(index as u32), *members + most / 60), style)
    }))?;
    Ok(())
}

/// Moves by month.
fn moves(area: &Area<'_>, months: &[Month]) -> Drawn {
    let top = months.iter().map(|month| month.up).max().unwrap_or(0).max(1) as i32;
    let bottom = months.iter().map(|month| month.down).max().unwrap_or(0) as i32;
    let room = (top + bottom) / 12 + 1;
    let mut chart = ChartBuilder::on(area)
        .caption("moves in each month: up, and down", ("sans-serif", 15).into_font().color(&INK))
        .margin(14)
        .x_label_area_size(34)
        .y_label_area_size(48)
        .build_cartesian_2d((0..months.len().saturating_sub(1) as i32).into_segmented(), -bottom - room..top + room)?;
    let label = |segment: &SegmentValue<i32>| match segment {
        SegmentValue::CenterOf(index) | SegmentValue::Exact(index) => {
            months.get(*index as usize).map_or(String::new(), |month| month.name.clone())
        }
        SegmentValue::Last => String::new(),
    };
    chart
        .configure_mesh()
        .disable_x_mesh()
        .light_line_style(WHITE)
        .bold_line_style(FAINT)
        .x_labels(months.len().min(13))
        .y_label_formatter(&|moves: &i32| moves.unsigned_abs().to_string())
        .x_label_formatter(&label)
        .axis_style(INK.mix(0.4))
        .label_style(("sans-serif", 13).into_font().color(&INK))
        .draw()?;
    for (colour, sign) in [(UP, 1), (DOWN, -1)] {
        chart.draw_series(months.iter().enumerate().map(|(index, month)| {
            let height = sign * (if sign > 0 { month.up } else { month.down }) as i32;
            let (from, to) = (SegmentValue::Exact(index as i32), SegmentValue::Exact(index as i32 + 1));
            let mut bar = Rectangle::new([(from, 0), (to, height)], colour.filled());
            bar.set_margin(0, 0, 4, 4);
            bar
        }))?;
    }
    Ok(())
}

/// A number and, where there is one, the number before.
pub(super) struct Pair {
    /// What of.
    pub name: String,
    /// Before; 0: there is none.
    pub old: i64,
    /// Now.
    pub new: i64,
}

/// Bars side by side, in the order given: the text of an SVG.
///
/// # Errors
/// It can't be drawn.
pub(super) fn pairs(title: &str, of: &[Pair]) -> Result<String> {
    let mut svg = String::new();
    let height = PAIR_HEIGHT * (of.len() as u32).max(1) + PAIR_MARGIN;
    draw_pairs(&SVGBackend::with_string(&mut svg, (PAIR_WIDTH, height)).into_drawing_area(), title, of)
        .map_err(|error| Failure::usage(format!("\"{title}\" could not be drawn: {error}")))?;
    Ok(svg)
}

fn draw_pairs(area: &Area<'_>, title: &str, of: &[Pair]) -> Drawn {
    let most = of.iter().map(|pair| pair.old.abs().max(pair.new.abs())).max().unwrap_or(0).max(1);
    let font = |size: i32| ("sans-serif", size).into_font().color(&INK);
    area.titled(title, font(16))?;
    let length = |number: i64| (i128::from(number.abs()) * i128::from(PAIR_BARS) / i128::from(most)) as i32;
    for (pair, top) in of.iter().zip((0..).map(|row| row * PAIR_HEIGHT as i32 + PAIR_MARGIN as i32)) {
        area.draw(&Text::new(pair.name.clone(), (8, top + 8), font(13)))?;
        let two = pair.old != 0;
        for (number, colour, from, thick) in
            [(pair.old, BAR, top, two), (pair.new, UP, if two { top + 14 } else { top + 7 }, true)]
        {
            if !thick {
                continue;
            }
            let colour = if number < 0 { DOWN } else { colour };
            area.draw(&Rectangle::new([(PAIR_NAMES, from), (PAIR_NAMES + length(number), from + 12)], colour.filled()))?;
            area.draw(&Text::new(crate::print::points(number), (PAIR_NAMES + length(number) + 6, from), font(12)))?;
        }
    }
    area.present()?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_picture_says_its_numbers() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("tiers.svg");
        let ever = [("member".to_owned(), 40), ("gold".to_owned(), 7)];
        let months = [("2011-01", 5, 0), ("2011-02", 2, 3)];
        let months = months.map(|(name, up, down)| Month { name: name.to_owned(), up, down });
        tiers(&path, "Tiers of retail", &ever, &months).expect("draws");
        let svg = std::fs::read_to_string(&path).expect("reads");
        for text in ["Tiers of retail", "gold", "40", "2011-02"] {
            assert!(svg.contains(text), "{text} is not in the picture");
        }
        assert!(tiers(&dir.path().join("no/such/tiers.svg"), "x", &ever, &months).is_err());
    }
}
