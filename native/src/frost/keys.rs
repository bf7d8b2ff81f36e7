//! Between the crate's key packages and ours, by bytes.

use std::collections::BTreeMap;

use frost_core::VerifyingKey;
use frost_core::keys::{KeyPackage, PublicKeyPackage, SigningShare, VerifyingShare};
use zeroize::Zeroizing;

use super::{Kind, fault_of, identifier};
use crate::error::{Fault, Result};
use crate::share::{Material, Package};

pub fn material<C: Kind>(
    key: &KeyPackage<C>,
    public: &PublicKeyPackage<C>,
    index: u8,
    session: [u8; 32],
) -> Result<Material> {
    let mut secret = Zeroizing::new([0; 32]);
    let bytes = Zeroizing::new(key.signing_share().serialize());
    if bytes.len() != secret.len() {
        return Err(Fault::aborted("a share of another length than 32 bytes"));
    }
    secret.copy_from_slice(&bytes);
    Ok(Material { package: package(public, *key.min_signers())?, index, session, secret })
}

fn package<C: Kind>(public: &PublicKeyPackage<C>, threshold: u16) -> Result<Package> {
    let narrow = |number: u16| u8::try_from(number).map_err(Fault::aborted);
    let parties = narrow(public.max_signers())?;
    let share_of = |party| {
        let share = public.verifying_shares().get(&identifier(party)?);
        let share = share.ok_or_else(|| Fault::aborted("a verification share is missing"))?;
        share.serialize().map_err(|error| fault_of(&error))
    };
    Ok(Package {
        suite: C::INFO.suite.to_owned(),
        threshold: narrow(threshold)?,
        parties,
        public_key: public.verifying_key().serialize().map_err(|error| fault_of(&error))?,
        verification_shares: (1..=parties).map(share_of).collect::<Result<_>>()?,
        chain_code: None,
    })
}

pub fn key_package<C: Kind>(material: &Material) -> Result<KeyPackage<C>> {
    let (package, index) = (&material.package, material.index);
    let wrong = |_| Fault::SealMismatch { what: "the share's keys are not in the group" };
    Ok(KeyPackage::new(
        identifier(index)?,
        SigningShare::deserialize(&material.secret[..]).map_err(wrong)?,
        VerifyingShare::deserialize(package.verification_share(index)?).map_err(wrong)?,
        VerifyingKey::deserialize(&package.public_key).map_err(wrong)?,
        u16::from(package.threshold),
    ))
}

pub fn public_package<C: Kind>(package: &Package) -> Result<PublicKeyPackage<C>> {
    let wrong = |_| Fault::Misuse { why: "not a public package of this suite" };
    let mut shares = BTreeMap::new();
    for (party, share) in (1u8..).zip(&package.verification_shares) {
        shares.insert(identifier(party)?, VerifyingShare::deserialize(share).map_err(wrong)?);
    }
    let key = VerifyingKey::deserialize(&package.public_key).map_err(wrong)?;
    Ok(PublicKeyPackage::new(shares, key, Some(u16::from(package.threshold))))
}
