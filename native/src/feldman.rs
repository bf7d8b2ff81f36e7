//! Whether public shares lie on one polynomial whose constant term is the public key, in any FROST group.
#![forbid(unsafe_code)]

use frost_core::{Ciphersuite, Element, Field, Group, Scalar};

type F<C> = <<C as Ciphersuite>::Group as Group>::Field;

/// `secret` is the discrete logarithm of the share numbered `index`, and all `shares` (party 1 first) with
/// `public_key` (party 0) are on one polynomial of degree `threshold - 1`. None if an encoding is not one.
pub fn consistent<C: Ciphersuite>(
    index: u8,
    secret: &[u8],
    threshold: u8,
    public_key: &[u8],
    shares: &[Vec<u8>],
) -> Option<bool> {
    let points = shares.iter().map(|share| point::<C>(share)).collect::<Option<Vec<_>>>()?;
    let own = points.get(usize::from(index).checked_sub(1)?)?;
    let (basis, others) = points.split_at_checked(usize::from(threshold))?;
    let beyond = (threshold + 1..).zip(others.iter().copied());
    let on_one = std::iter::once((0, point::<C>(public_key)?))
        .chain(beyond)
        .map(|(x, claimed)| Some(interpolate::<C>(basis, x)? == claimed))
        .collect::<Option<Vec<_>>>()?;
    let matches = C::Group::generator() * scalar::<C>(secret)? == *own;
    Some(matches && on_one.into_iter().all(|yes| yes))
}

/// The value at `x` of the polynomial through `basis` at 1, 2, ...
fn interpolate<C: Ciphersuite>(basis: &[Element<C>], x: u8) -> Option<Element<C>> {
    let mut sum = C::Group::identity();
    for (i, point) in (1u8..).zip(basis) {
        let (mut above, mut below) = (F::<C>::one(), F::<C>::one());
        for j in (1u8..).take(basis.len()).filter(|j| *j != i) {
            above = above * (small::<C>(x) - small::<C>(j));
            below = below * (small::<C>(i) - small::<C>(j));
        }
        sum = sum + *point * (above * F::<C>::invert(&below).ok()?);
    }
    Some(sum)
}

fn small<C: Ciphersuite>(value: u8) -> Scalar<C> {
    (0..value).fold(F::<C>::zero(), |sum, _| sum + F::<C>::one())
}

fn scalar<C: Ciphersuite>(bytes: &[u8]) -> Option<Scalar<C>> {
    F::<C>::deserialize(&bytes.try_into().ok()?).ok()
}

fn point<C: Ciphersuite>(bytes: &[u8]) -> Option<Element<C>> {
    C::Group::deserialize(&bytes.try_into().ok()?).ok()
}
