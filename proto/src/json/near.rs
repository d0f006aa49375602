//! Did you mean …?

use strsim::levenshtein;

/// The known name closest to a mistyped one, if any is close enough to be meant.
pub(super) fn nearest<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let typed = name.to_ascii_lowercase();
    let scored = known.map(|candidate| (levenshtein(&typed, &candidate.to_ascii_lowercase()), candidate));
    scored.min().filter(|(distance, candidate)| *distance <= candidate.len().max(3) / 3).map(|(_, candidate)| candidate)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn close_names() {
        let known = ["order_id", "currency", "unit_price", "sku"];
        for (typed, meant) in [
            ("orderId", Some("order_id")),
            ("curency", Some("currency")),
            ("unit-price", Some("unit_price")),
            ("weather", None),
            ("sq", None),
            ("sk", Some("sku")),
        ] {
            assert_eq!(nearest(typed, known.into_iter()), meant, "{typed}");
        }
    }
}
