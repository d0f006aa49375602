//! States and records as bytes: what memory keeps, checkpoints write and digests are over.
//!
//! Numbers are as short as they are small (seven bits a byte, the lowest first); most fields of most states are nothing, and are
//! not written at all. There is one way to write a value, so that equal states are equal bytes.

mod instant;
mod layout;
mod lots;

use crate::Text;
use smallvec::{Array, SmallVec};

/// Bytes that nobody here wrote.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("it ends early, or says what cannot be")]
pub struct Damaged;

/// Bytes being read.
pub struct Packed<'a>(&'a [u8]);

impl<'a> Packed<'a> {
    /// Reads a value that is all of `bytes`.
    ///
    /// # Errors
    /// It is no such value, or something follows it.
    pub fn read<T: Pack>(bytes: &'a [u8]) -> Result<T, Damaged> {
        let mut from = Packed(bytes);
        let value = T::unpack(&mut from)?;
        if from.0.is_empty() { Ok(value) } else { Err(Damaged) }
    }

    #[inline]
    fn byte(&mut self) -> Result<u8, Damaged> {
        let (first, rest) = self.0.split_first().ok_or(Damaged)?;
        self.0 = rest;
        Ok(*first)
    }

    #[inline]
    fn take(&mut self, len: usize) -> Result<&'a [u8], Damaged> {
        let (taken, rest) = self.0.split_at_checked(len).ok_or(Damaged)?;
        self.0 = rest;
        Ok(taken)
    }

    fn word(&mut self) -> Result<[u8; 8], Damaged> {
        self.take(8)?.try_into().map_err(|_| Damaged)
    }

    /// How many values follow. Each has a byte at least: whatever the bytes claim, not much more memory is taken than they have.
    fn count(&mut self) -> Result<usize, Damaged> {
        let count = usize::try_from(u64::unpack(self)?).map_err(|_| Damaged)?;
        if count <= self.0.len() { Ok(count) } else { Err(Damaged) }
    }
}

/// A value that can be written as bytes and read again.
pub trait Pack: Sized {
    /// Appends it.
    fn pack(&self, out: &mut Vec<u8>);

    /// Reads it.
    ///
    /// # Errors
    /// It is no such value.
    fn unpack(from: &mut Packed<'_>) -> Result<Self, Damaged>;

    /// Whether it is the default, which is not written where most are.
    fn is_nothing(&self) -> bool {
        false
    }

    /// Appends it, known not to be nothing.
    fn pack_something(&self, out: &mut Vec<u8>) {
        self.pack(out);
    }

    /// Reads what [`Pack::pack_something`] wrote.
    ///
    /// # Errors
    /// As [`Pack::unpack`].
    fn unpack_something(from: &mut Packed<'_>) -> Result<Self, Damaged> {
        Self::unpack(from)
    }
}

/// A struct of which most fields are nothing: which of them are something, then these.
macro_rules! sparse {
    ($type:ty { $($field:ident),+ $(,)? }) => {
        impl $crate::pack::Pack for $type {
            fn pack(&self, out: &mut Vec<u8>) {
                let (mut something, mut bit) = (0_u64, 1_u64);
                $(
                    something |= if $crate::pack::Pack::is_nothing(&self.$field) { 0 } else { bit };
                    bit <<= 1;
                )+
                let _ = bit;
                something.pack(out);
                $(
                    if something & 1 != 0 {
                        $crate::pack::Pack::pack_something(&self.$field, out);
                    }
                    something >>= 1;
                )+
                let _ = something;
            }

            fn unpack(from: &mut $crate::pack::Packed<'_>) -> Result<Self, $crate::pack::Damaged> {
                let mut something = u64::unpack(from)?;
                let value = Self {
                    $($field: {
                        let is_something = something & 1 != 0;
                        something >>= 1;
                        if is_something { $crate::pack::Pack::unpack_something(from)? } else { Default::default() }
                    },)+
                };
                if something == 0 { Ok(value) } else { Err($crate::pack::Damaged) }
            }
        }
    };
}

/// A struct of which most fields are something: these, in order.
macro_rules! packed {
    ($type:ty { $($field:ident),+ $(,)? }) => {
        impl $crate::pack::Pack for $type {
            fn pack(&self, out: &mut Vec<u8>) {
                $($crate::pack::Pack::pack(&self.$field, out);)+
            }

            fn unpack(from: &mut $crate::pack::Packed<'_>) -> Result<Self, $crate::pack::Damaged> {
                Ok(Self { $($field: $crate::pack::Pack::unpack(from)?,)+ })
            }
        }
    };
}

/// An enum without fields, by number.
macro_rules! packed_enum {
    ($type:ty { $($variant:ident = $number:literal),+ $(,)? }) => {
        impl $crate::pack::Pack for $type {
            fn pack(&self, out: &mut Vec<u8>) {
                out.push(match self { $(Self::$variant => $number,)+ });
            }

            fn unpack(from: &mut $crate::pack::Packed<'_>) -> Result<Self, $crate::pack::Damaged> {
                match u8::unpack(from)? { $($number => Ok(Self::$variant),)+ _ => Err($crate::pack::Damaged) }
            }
        }
    };
}

pub(crate) use {packed, packed_enum, sparse};

/// A number of more than one byte.
fn long_number(first: u8, from: &mut Packed<'_>) -> Result<u64, Damaged> {
    let mut value = u64::from(first & 0x7F);
    for shift in (7..64).step_by(7) {
        let byte = from.byte()?;
        value |= u64::from(byte & 0x7F) << shift;
        if byte < 0x80 {
            // Of the tenth byte only one bit has room.
            return if shift < 63 || byte == 1 { Ok(value) } else { Err(Damaged) };
        }
    }
    Err(Damaged)
}

impl Pack for u64 {
    #[inline]
    fn pack(&self, out: &mut Vec<u8>) {
        let mut rest = *self;
        while rest >= 0x80 {
            out.push(rest as u8 | 0x80);
            rest >>= 7;
        }
        out.push(rest as u8);
    }

    #[inline]
    fn unpack(from: &mut Packed<'_>) -> Result<Self, Damaged> {
        let first = from.byte()?;
        if first < 0x80 { Ok(u64::from(first)) } else { long_number(first, from) }
    }

    fn is_nothing(&self) -> bool {
        *self == 0
    }
}

/// Numbers that are written as if they were wider.
macro_rules! as_u64 {
    ($($type:ty),+) => {$(
        impl Pack for $type {
            fn pack(&self, out: &mut Vec<u8>) {
                u64::from(*self).pack(out);
            }
            fn unpack(from: &mut Packed<'_>) -> Result<Self, Damaged> {
                <$type>::try_from(u64::unpack(from)?).map_err(|_| Damaged)
            }
            fn is_nothing(&self) -> bool {
                *self == 0
            }
        }
    )+};
}

as_u64!(u16, u32);

impl Pack for u8 {
    fn pack(&self, out: &mut Vec<u8>) {
        out.push(*self);
    }

    fn unpack(from: &mut Packed<'_>) -> Result<Self, Damaged> {
        from.byte()
    }

    fn is_nothing(&self) -> bool {
        *self == 0
    }
}

impl Pack for i64 {
    /// Near zero is short, below as above.
    fn pack(&self, out: &mut Vec<u8>) {
        ((*self << 1) ^ (*self >> 63)).cast_unsigned().pack(out);
    }

    fn unpack(from: &mut Packed<'_>) -> Result<Self, Damaged> {
        let word = u64::unpack(from)?;
        Ok((word >> 1).cast_signed() ^ -(word & 1).cast_signed())
    }

    fn is_nothing(&self) -> bool {
        *self == 0
    }
}

impl Pack for i32 {
    fn pack(&self, out: &mut Vec<u8>) {
        i64::from(*self).pack(out);
    }

    fn unpack(from: &mut Packed<'_>) -> Result<Self, Damaged> {
        i32::try_from(i64::unpack(from)?).map_err(|_| Damaged)
    }

    fn is_nothing(&self) -> bool {
        *self == 0
    }
}

impl Pack for bool {
    fn pack(&self, out: &mut Vec<u8>) {
        out.push(u8::from(*self));
    }

    fn unpack(from: &mut Packed<'_>) -> Result<Self, Damaged> {
        match from.byte()? {
            0 => Ok(false),
            1 => Ok(true),
            _ => Err(Damaged),
        }
    }

    fn is_nothing(&self) -> bool {
        !*self
    }

    fn pack_something(&self, _: &mut Vec<u8>) {}

    fn unpack_something(_: &mut Packed<'_>) -> Result<Self, Damaged> {
        Ok(true)
    }
}

impl Pack for Text {
    fn pack(&self, out: &mut Vec<u8>) {
        (self.len() as u64).pack(out);
        out.extend_from_slice(self.as_bytes());
    }

    fn unpack(from: &mut Packed<'_>) -> Result<Self, Damaged> {
        let len = from.count()?;
        Ok(Text::new(std::str::from_utf8(from.take(len)?).map_err(|_| Damaged)?))
    }

    fn is_nothing(&self) -> bool {
        self.is_empty()
    }
}

impl<T: Pack> Pack for Option<T> {
    fn pack(&self, out: &mut Vec<u8>) {
        out.push(u8::from(self.is_some()));
        self.pack_something(out);
    }

    fn unpack(from: &mut Packed<'_>) -> Result<Self, Damaged> {
        if bool::unpack(from)? { Self::unpack_something(from) } else { Ok(None) }
    }

    fn is_nothing(&self) -> bool {
        self.is_none()
    }

    fn pack_something(&self, out: &mut Vec<u8>) {
        self.iter().for_each(|value| value.pack(out));
    }

    fn unpack_something(from: &mut Packed<'_>) -> Result<Self, Damaged> {
        T::unpack(from).map(Some)
    }
}

impl<T: Pack> Pack for Box<T> {
    fn pack(&self, out: &mut Vec<u8>) {
        T::pack(self, out);
    }

    fn unpack(from: &mut Packed<'_>) -> Result<Self, Damaged> {
        T::unpack(from).map(Box::new)
    }

    fn is_nothing(&self) -> bool {
        T::is_nothing(self)
    }
}

impl<T: Pack> Pack for Vec<T> {
    fn pack(&self, out: &mut Vec<u8>) {
        (self.len() as u64).pack(out);
        self.iter().for_each(|value| value.pack(out));
    }

    fn unpack(from: &mut Packed<'_>) -> Result<Self, Damaged> {
        let count = from.count()?;
        let mut values = Vec::with_capacity(count);
        for _ in 0..count {
            values.push(T::unpack(from)?);
        }
        Ok(values)
    }

    fn is_nothing(&self) -> bool {
        self.is_empty()
    }
}

impl<T: Pack, A: Array<Item = T>> Pack for SmallVec<A> {
    fn pack(&self, out: &mut Vec<u8>) {
        (self.len() as u64).pack(out);
        self.iter().for_each(|value| value.pack(out));
    }

    fn unpack(from: &mut Packed<'_>) -> Result<Self, Damaged> {
        let count = from.count()?;
        let mut values = SmallVec::with_capacity(count);
        for _ in 0..count {
            values.push(T::unpack(from)?);
        }
        Ok(values)
    }

    fn is_nothing(&self) -> bool {
        self.is_empty()
    }
}

impl<A: Pack, B: Pack> Pack for (A, B) {
    fn pack(&self, out: &mut Vec<u8>) {
        self.0.pack(out);
        self.1.pack(out);
    }

    fn unpack(from: &mut Packed<'_>) -> Result<Self, Damaged> {
        Ok((A::unpack(from)?, B::unpack(from)?))
    }
}
