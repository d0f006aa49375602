//! The life of a coupon (§10).

use super::fact::CouponName;
use super::state::State;
use anyhow::Result;

/// A coupon of the member.
#[derive(Clone, Debug)]
pub struct Coupon {
    /// What the member shows.
    pub code: String,
    /// What issued it.
    pub source: CouponName,
    /// Points it cost.
    pub cost: i64,
    /// How often it can be used.
    pub uses: usize,
    /// The orders it is used on.
    pub used_on: Vec<String>,
    /// Held for an order, until.
    pub hold: Option<(String, i64)>,
    /// Taken back.
    pub revoked: bool,
    /// Its time was over before it was used up.
    pub expired: bool,
    /// The end of its life.
    pub expires: Option<i64>,
    /// Its points go back when it ends unused.
    pub restore_on_expiry: bool,
}

impl CouponName {
    /// The redemption that issued it. A grant that deducts is a redemption of its own.
    pub fn redemption(&self) -> Option<String> {
        match self {
            CouponName::Redemption(id) => Some(id.clone()),
            CouponName::Grant(id) => Some(format!("grant {id}")),
            CouponName::Code(_) => None,
        }
    }
}

impl Coupon {
    /// Nobody has used it yet.
    pub fn new(code: &str, source: CouponName, cost: i64, uses: usize, expires: Option<i64>, restore: bool) -> Coupon {
        Coupon {
            code: code.to_owned(),
            source,
            cost,
            uses,
            used_on: Vec::new(),
            hold: None,
            revoked: false,
            expired: false,
            expires,
            restore_on_expiry: restore,
        }
    }

    /// What paid for it.
    pub fn redemption(&self) -> Option<String> {
        self.source.redemption()
    }

    /// What it is now.
    pub fn status(&self) -> &'static str {
        if self.revoked {
            "revoked"
        } else if self.expired {
            "expired"
        } else if self.used_on.len() >= self.uses {
            "used"
        } else if self.hold.is_some() {
            "reserved"
        } else {
            "issued"
        }
    }

    fn is_open(&self) -> bool {
        matches!(self.status(), "issued" | "reserved")
    }

    /// The end of its life, if that is still to come.
    pub fn end(&self) -> Option<i64> {
        if self.is_open() { self.expires } else { None }
    }

    /// The end of its hold, if that is still to come.
    pub fn hold_end(&self) -> Option<i64> {
        if self.status() == "reserved" { self.hold.as_ref().map(|(_, until)| *until) } else { None }
    }
}

impl State {
    /// The coupon of that name.
    pub fn coupon(&self, name: &CouponName) -> Option<usize> {
        self.coupons.iter().position(|coupon| match name {
            CouponName::Code(code) => &coupon.code == code,
            source => &coupon.source == source,
        })
    }

    /// A coupon was used on an order.
    pub fn use_coupon(&mut self, name: &CouponName, order: &str) {
        let cost_of = |name: &CouponName| {
            let paid = name.redemption().and_then(|id| self.redemptions.get(&id));
            paid.map_or(0, |redemption| redemption.left)
        };
        let Some(c) = self.coupon(name) else {
            self.exception("coupon_unknown", "", cost_of(name));
            return;
        };
        let cost = cost_of(&self.coupons[c].source);
        let coupon = &mut self.coupons[c];
        if coupon.used_on.iter().any(|used| used == order) {
            return;
        }
        if !coupon.is_open() {
            let ended = if coupon.status() == "used" { "already_used" } else { coupon.status() };
            self.exception(&format!("coupon_{ended}"), "", cost);
            return;
        }
        coupon.used_on.push(order.to_owned());
        let is_for_order = coupon.hold.as_ref().is_some_and(|(held_for, _)| held_for == order);
        if is_for_order || coupon.used_on.len() >= coupon.uses {
            coupon.hold = None;
        }
        let source = coupon.source.clone();
        self.tie(order, source);
        self.note("coupon_used");
    }

    /// A use on an order, or a hold for it, is taken back; the coupon is good again, if its time is not over.
    pub fn release_coupon(&mut self, c: usize, order: &str) -> Result<()> {
        let coupon = &mut self.coupons[c];
        let uses = coupon.used_on.len();
        coupon.used_on.retain(|used| used != order);
        let was_held = coupon.hold.take_if(|(held_for, _)| held_for == order).is_some();
        if coupon.used_on.len() == uses && !was_held {
            return Ok(());
        }
        self.note("coupon_released");
        if self.coupons[c].end().is_some_and(|end| end <= self.now) {
            self.end_coupon(c)?;
        }
        Ok(())
    }

    /// The coupon of a redemption that was given back as a whole.
    pub fn take_coupon_back(&mut self, redemption: &str) {
        if let Some(c) = self.coupon(&CouponName::Redemption(redemption.to_owned()))
            && self.coupons[c].is_open()
        {
            self.revoke_coupon(c);
        }
    }

    /// A coupon is taken back.
    pub fn revoke_coupon(&mut self, c: usize) {
        if !self.coupons[c].revoked {
            self.coupons[c].revoked = true;
            self.coupons[c].hold = None;
            self.note("coupon_revoked");
        }
    }

    /// Ends of coupons and of holds at the boundary `now`.
    pub fn coupons_at_boundary(&mut self) -> Result<()> {
        for c in 0..self.coupons.len() {
            if self.coupons[c].end().is_some_and(|end| end <= self.now) {
                self.end_coupon(c)?;
            }
        }
        for c in 0..self.coupons.len() {
            if self.coupons[c].hold_end().is_some_and(|end| end <= self.now) {
                self.coupons[c].hold = None;
                self.note("coupon_released");
            }
        }
        Ok(())
    }

    fn end_coupon(&mut self, c: usize) -> Result<()> {
        self.coupons[c].expired = true;
        self.coupons[c].hold = None;
        self.note("coupon_expired");
        let coupon = self.coupons[c].clone();
        if coupon.restore_on_expiry
            && coupon.used_on.is_empty()
            && let Some(redemption) = coupon.redemption()
        {
            self.give_back(&redemption, i64::MAX, false)?;
        }
        Ok(())
    }
}
