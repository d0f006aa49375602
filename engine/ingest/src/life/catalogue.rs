//! What the small shop sells.

/// An article.
pub(super) struct Article {
    pub(super) sku: &'static str,
    /// Minor units of GBP.
    pub(super) price: i64,
    pub(super) collections: &'static [&'static str],
    pub(super) tags: &'static [&'static str],
}

const fn article(sku: &'static str, price: i64, collections: &'static [&'static str], tags: &'static [&'static str]) -> Article {
    Article { sku, price, collections, tags }
}

/// The ones further up sell better.
pub(super) const CATALOGUE: [Article; 24] = [
    article("tea-assam-100", 695, &["tea", "black"], &[]),
    article("tea-sencha-100", 845, &["tea", "green"], &["organic"]),
    article("tea-earl-grey-100", 725, &["tea", "black"], &[]),
    article("tea-camomile-50", 450, &["tea", "herbal"], &["organic"]),
    article("coffee-house-250", 795, &["coffee"], &[]),
    article("coffee-espresso-1000", 2_450, &["coffee"], &["organic"]),
    article("tea-darjeeling-100", 1_195, &["tea", "black"], &["organic", "new"]),
    article("biscuits-ginger", 325, &["pantry"], &[]),
    article("honey-heather", 680, &["pantry"], &["organic"]),
    article("tea-matcha-30", 1_850, &["tea", "green"], &["organic", "new"]),
    article("mug-blue", 1_200, &["ware"], &[]),
    article("mug-white", 1_200, &["ware"], &[]),
    article("filter-paper-100", 280, &["ware"], &["sale"]),
    article("chocolate-dark", 390, &["pantry"], &["new"]),
    article("tea-rooibos-100", 595, &["tea", "herbal"], &[]),
    article("jam-damson", 425, &["pantry"], &[]),
    article("teapot-small", 2_900, &["ware"], &[]),
    article("tin-of-twelve", 3_450, &["tea", "gifts"], &["seasonal"]),
    article("coffee-mill", 6_900, &["ware", "gifts"], &[]),
    article("teapot-iron", 5_400, &["ware", "gifts"], &[]),
    article("kettle-copper", 11_900, &["ware"], &["new"]),
    article("gift-card-25", 2_500, &["gift-cards"], &[]),
    article("towel-linen", 850, &["ware"], &["sale"]),
    article("hamper-winter", 7_500, &["gifts"], &["seasonal"]),
];

/// A day's weight in a thousandth: people shop at the end of the week and before Christmas.
pub(super) fn weight_of_day(weekday: u8, day_of_year: u64) -> u64 {
    let week = [850, 800, 850, 950, 1_200, 1_350, 1_000][usize::from(weekday % 7)];
    let season = match day_of_year {
        0..=20 => 700,
        // Mother's Day, the summer lull, the weeks before Christmas.
        60..=85 => 1_150,
        190..=240 => 800,
        320..=357 => 1_900,
        _ => 1_000,
    };
    week * season / 1_000
}
