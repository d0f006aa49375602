//! Which lines of an order a rule looks at.

use super::Ruleset;
use smol_str::SmolStr;

/// Lines by what they are; empty: all.
#[derive(Clone, Debug, Default)]
pub struct LineFilter {
    /// Any of these.
    pub collections: Vec<SmolStr>,
    /// Any of these.
    pub tags: Vec<SmolStr>,
    /// Any of these.
    pub skus: Vec<SmolStr>,
}

impl LineFilter {
    /// Names nothing.
    pub fn is_empty(&self) -> bool {
        self.collections.is_empty() && self.tags.is_empty() && self.skus.is_empty()
    }

    /// Whether any of what is named is on the line.
    pub fn any(&self, line: &crate::Line<'_>) -> bool {
        let named = |names: &[SmolStr], on_line: &crate::Names<'_>| names.iter().any(|name| on_line.contains(name));
        named(&self.collections, &line.collections)
            || named(&self.tags, &line.tags)
            || self.skus.iter().any(|sku| sku == line.sku)
    }

    /// Whether each kind that is named has a match on the line.
    pub fn all(&self, line: &crate::Line<'_>) -> bool {
        let named =
            |names: &[SmolStr], on_line: &crate::Names<'_>| names.is_empty() || names.iter().any(|name| on_line.contains(name));
        let sku = self.skus.is_empty() || self.skus.iter().any(|sku| sku == line.sku);
        sku && named(&self.collections, &line.collections) && named(&self.tags, &line.tags)
    }
}

impl Ruleset {
    /// Bit i: rule i asks for lines like this one.
    pub(crate) fn lines_asked_for(&self, line: &crate::Line<'_>) -> u64 {
        let filtered = self.earn.iter().enumerate().filter(|(_, rule)| !rule.when.lines.is_empty());
        filtered.filter(|(_, rule)| rule.when.lines.all(line)).fold(0, |bits, (index, _)| bits | 1 << index)
    }
}
