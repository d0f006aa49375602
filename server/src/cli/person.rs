//! Finding members, and what is printed on their cards.

use super::{MemberArgs, PastArgs};
use accrue_projections::LookUp;
use clap::Args;

/// `member find`
#[derive(Args, Debug)]
pub struct MemberFind {
    /// Only of this program [default: the only one there is]
    #[arg(value_name = "PROGRAM")]
    pub name: Option<String>,
    /// Only of this program
    #[arg(long, conflicts_with = "name")]
    pub program: Option<String>,
    /// By what
    #[command(flatten)]
    by: By,
    /// Which past
    #[command(flatten)]
    pub past: PastArgs,
}

#[derive(Args, Debug)]
#[group(required = true, multiple = false)]
struct By {
    /// The code of a card
    #[arg(long, value_name = "CODE")]
    card: Option<String>,
    /// The 16 digits of a member
    #[arg(long, value_name = "DIGITS")]
    id: Option<String>,
    /// An e-mail address, in any case
    #[arg(long, value_name = "ADDRESS")]
    email: Option<String>,
    /// A phone number, with its country
    #[arg(long, value_name = "NUMBER")]
    phone: Option<String>,
}

impl MemberFind {
    /// By what is looked for.
    pub fn by(&self) -> LookUp {
        let By { card, id, email, phone } = &self.by;
        let number = id.clone().map(LookUp::Number);
        let email = email.clone().map(LookUp::Email);
        let found = card.clone().map(LookUp::Card).or(number).or(email);
        found.unwrap_or_else(|| LookUp::Phone(phone.clone().unwrap_or_default()))
    }
}

/// `member qr`
#[derive(Args, Debug)]
pub struct MemberQr {
    /// Who
    #[command(flatten)]
    pub asked: MemberArgs,
}
