//! The rows of a view as they are however its checkpoints fell: what these cut in pieces is put together.

use super::StoryError;
use crate::codec;
use crate::error::ProjectionError;
use crate::rows::{CouponRow, DayRow, RecordRow, read_page, read_positions};
use accrue_store::keys::ViewKey;
use accrue_store::{View, keys};
use std::collections::BTreeMap;

/// What rows say, by key; of pages and lists of positions, by member.
pub type ToldRows = BTreeMap<Vec<u8>, String>;

/// Reads all rows of a view.
///
/// # Errors
/// The view can't be read.
pub fn told_rows(view: &View) -> Result<ToldRows, StoryError> {
    let mut told = ToldRows::new();
    let mut rows = view.scan_all().map_err(ProjectionError::from)?;
    while let Some((key, row)) = rows.next_row().map_err(ProjectionError::from)? {
        match key.first() {
            Some(&keys::SPACE_ENTRIES) => {
                let mut entries = Vec::new();
                read_page(row, &mut entries).map_err(ProjectionError::from)?;
                let of_member = told.entry(key[..key.len() - 4].to_vec()).or_default();
                entries.iter().for_each(|entry| *of_member += &format!("{entry:?}\n"));
            }
            Some(&keys::SPACE_INDEX) => {
                let mut positions = Vec::new();
                read_positions(row, &mut positions).map_err(ProjectionError::from)?;
                let of_member = told.entry(key[..key.len() - 8].to_vec()).or_default();
                positions.iter().for_each(|position| *of_member += &format!("{position} "));
            }
            // A day from which late facts took everything away again is like one without entries.
            Some(&keys::SPACE_TOTALS)
                if codec::read::<DayRow>("totals", row).map_err(ProjectionError::from)? == DayRow::default() => {}
            // Nor is there a record where all that is left of one is its row.
            Some(&keys::SPACE_RECORD) if is_empty(row)? => {}
            _ => drop(told.insert(key.to_vec(), format!("{row:?}"))),
        }
    }
    drop_dangling(view, &mut told)?;
    Ok(told)
}

fn is_empty(row: &[u8]) -> Result<bool, StoryError> {
    let row = RecordRow::read(row).map_err(ProjectionError::from)?;
    Ok(row.firsts.is_empty() && row.record.is_none())
}

/// A code that was handed out before late facts took that back leads to no record.
fn drop_dangling(view: &View, told: &mut ToldRows) -> Result<(), StoryError> {
    let mut dangling = Vec::new();
    for key in told.keys().filter(|key| key.first() == Some(&keys::SPACE_COUPON)) {
        let Some(ViewKey::Coupon { program, .. }) = keys::parse_view(key) else { continue };
        let Some(row) = view.get(key).map_err(ProjectionError::from)? else { continue };
        let coupon = codec::read::<CouponRow>("coupon", &row).map_err(ProjectionError::from)?;
        let mut record = Vec::new();
        keys::record(&mut record, program, &coupon.member, coupon.key.family, coupon.key.id);
        if !told.contains_key(&record) {
            dangling.push(key.clone());
        }
    }
    dangling.iter().for_each(|key| drop(told.remove(key)));
    Ok(())
}
