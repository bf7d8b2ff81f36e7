//! What two parties send each other to set a pair up: in the DKG's third round, and alone when a pair is set up anew.

use dkls23_core::protocols::PartiesMessage;
use dkls23_core::protocols::dkg::{KeepInitMulPhase3to4, TransmitInitMulPhase3to4, TransmitInitZeroSharePhase3to4};
use dkls23_core::utilities::ot::base::Seed;
use dkls23_core::utilities::proofs::{DLogProof, EncProof};
use k256::{Scalar, Secp256k1};
use serde::{Deserialize, Serialize};
use zeroize::{Zeroize, Zeroizing};

use super::party_index;
use crate::error::Result;

/// The opening of the seed for shares of zero, and both base oblivious transfers.
#[derive(Serialize, Deserialize)]
pub struct PairMessage {
    pub zero_seed: Zeroizing<[u8; 32]>,
    pub zero_salt: Vec<u8>,
    /// The writer as the receiver of multiplications: the base transfer's sender.
    pub dlog_proof: DLogProof<Secp256k1>,
    pub nonce: Scalar,
    /// The writer as the sender of multiplications: the base transfer's receiver.
    pub enc_proofs: Vec<EncProof<Secp256k1>>,
    pub ot_seed: Seed,
}

impl PairMessage {
    pub fn new(zero: TransmitInitZeroSharePhase3to4, mul: TransmitInitMulPhase3to4<Secp256k1>) -> Self {
        Self {
            zero_seed: Zeroizing::new(zero.seed),
            zero_salt: zero.salt,
            dlog_proof: mul.dlog_proof,
            nonce: mul.nonce,
            enc_proofs: mul.enc_proofs,
            ot_seed: mul.seed,
        }
    }

    /// The crate's two messages, from the sender that the channel authenticated.
    pub fn split(
        self,
        sender: u8,
        receiver: u8,
    ) -> Result<(TransmitInitZeroSharePhase3to4, TransmitInitMulPhase3to4<Secp256k1>)> {
        let parties = PartiesMessage { sender: party_index(sender)?, receiver: party_index(receiver)? };
        let zero =
            TransmitInitZeroSharePhase3to4 { parties: parties.clone(), seed: *self.zero_seed, salt: self.zero_salt };
        let mul = TransmitInitMulPhase3to4 {
            parties,
            dlog_proof: self.dlog_proof,
            nonce: self.nonce,
            enc_proofs: self.enc_proofs,
            seed: self.ot_seed,
        };
        Ok((zero, mul))
    }
}

/// The secret half of one pair's base transfers; the crate's own type does not wipe itself.
pub fn wipe(kept: &mut KeepInitMulPhase3to4<Secp256k1>) {
    kept.ot_sender.s.zeroize();
    kept.ot_receiver.seed.zeroize();
    kept.nonce.zeroize();
    kept.correlation.zeroize();
    kept.vec_r.zeroize();
}
