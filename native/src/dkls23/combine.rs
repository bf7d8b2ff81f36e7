//! The last phase of signing, from public contributions alone: r (32) || u (32) || w (32) of each signer.

use std::collections::BTreeMap;

use dkls23_core::protocols::signing::{Broadcast3to4, SignData};
use dkls23_core::utilities::hashes::point_to_bytes;
use k256::elliptic_curve::ff::PrimeField;
use k256::{Scalar, Secp256k1};
use zeroize::Zeroizing;

use super::{derive, digest_of, fault_of, state};
use crate::error::{Fault, Result};
use crate::secp;
use crate::share::Package;
use crate::suites::Request;
use crate::transcript::Context;
use crate::wire::Fields;

/// r || s || recovery id. A wrong u or w makes a wrong signature and names nobody.
pub fn combine(
    package: &Package,
    request: &Request,
    context: Context,
    contributions: &BTreeMap<u8, &[u8]>,
) -> Result<Vec<u8>> {
    let digest = digest_of(&request.message, request.tweak.as_deref())?;
    let (r, parts) = parts(contributions)?;
    let data = SignData { sign_id: context.bytes().to_vec(), counterparties: Vec::new(), message_hash: *digest };
    // Assembling reads the public key of a party and none of its secrets.
    let nobody = state::hollow(package, 1, [0; 32], Zeroizing::new(Scalar::ZERO))?;
    let nobody = derive::child(&nobody, &request.path)?;
    let (s, id) = nobody.sign_phase4(&data, &hex::encode(r), &parts, true).map_err(|abort| fault_of(&abort))?;
    let signature = [&r[..], &hex::decode(s).map_err(Fault::aborted)?, &[id]].concat();
    if secp::verify_ecdsa(&point_to_bytes::<Secp256k1>(&nobody.pk), digest, &signature)? {
        Ok(signature)
    } else {
        Err(Fault::aborted("the signature does not verify"))
    }
}

fn parts(contributions: &BTreeMap<u8, &[u8]>) -> Result<([u8; 32], Vec<Broadcast3to4<Secp256k1>>)> {
    let mut agreed = None;
    let mut parts = Vec::with_capacity(contributions.len());
    for (&signer, body) in contributions {
        let mut fields = Fields::of(signer, body);
        let r: [u8; 32] = *fields.take()?;
        let (u, w) = (scalar(signer, fields.take()?)?, scalar(signer, fields.take()?)?);
        fields.finish()?;
        if *agreed.get_or_insert(r) != r {
            return Err(Fault::aborted("the signers do not agree on r"));
        }
        parts.push(Broadcast3to4 { u, w });
    }
    Ok((agreed.ok_or_else(|| Fault::aborted("no contributions"))?, parts))
}

fn scalar(sender: u8, bytes: &[u8; 32]) -> Result<Scalar> {
    let scalar = Option::<Scalar>::from(Scalar::from_repr((*bytes).into()));
    scalar.ok_or(Fault::MalformedMessage { sender, what: "not a scalar" })
}
