//! Strict decoding: one encoding for each value, and not a byte more.
#![forbid(unsafe_code)]

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::error::{Fault, Result};

pub fn encode<T: Serialize>(value: &T) -> Result<Vec<u8>> {
    postcard::to_allocvec(value).map_err(Fault::aborted)
}

/// Decodes `bytes` if they are the very bytes that `encode` gives for the value.
///
/// postcard itself ignores trailing bytes and takes overlong integers; encoding again refuses both.
pub fn decode<T: Serialize + DeserializeOwned>(bytes: &[u8]) -> Option<T> {
    let value: T = postcard::from_bytes(bytes).ok()?;
    let again = postcard::to_allocvec(&value).ok()?;
    (again == bytes).then_some(value)
}

pub fn decode_from<T: Serialize + DeserializeOwned>(sender: u8, bytes: &[u8]) -> Result<T> {
    decode(bytes).ok_or(Fault::MalformedMessage { sender, what: "not the encoding that this round calls for" })
}

/// Fixed-length fields, taken from the front; `finish` refuses what is left over.
pub struct Fields<'a> {
    sender: u8,
    rest: &'a [u8],
}

impl<'a> Fields<'a> {
    pub fn of(sender: u8, bytes: &'a [u8]) -> Self {
        Self { sender, rest: bytes }
    }

    pub fn take<const N: usize>(&mut self) -> Result<&'a [u8; N]> {
        let (field, rest) = self.rest.split_first_chunk().ok_or_else(|| self.malformed())?;
        self.rest = rest;
        Ok(field)
    }

    pub fn rest(self) -> &'a [u8] {
        self.rest
    }

    pub fn finish(self) -> Result<()> {
        if self.rest.is_empty() { Ok(()) } else { Err(self.malformed()) }
    }

    fn malformed(&self) -> Fault {
        Fault::MalformedMessage { sender: self.sender, what: "wrong length" }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn trailing_bytes_and_overlong_integers_are_refused() {
        assert_eq!(decode::<u32>(&[5]), Some(5));
        assert_eq!(decode::<u32>(&[5, 0]), None);
        assert_eq!(decode::<u32>(&[0x85, 0x00]), None);
        assert_eq!(decode::<u32>(&[]), None);
    }

    #[test]
    fn fields_must_be_used_up() {
        let mut fields = Fields::of(3, b"abc");
        assert_eq!(fields.take::<2>().ok(), Some(b"ab"));
        assert_eq!(fields.finish().unwrap_err().culprits(), [3]);
        assert!(Fields::of(3, b"abc").take::<4>().is_err());
    }
}
