//! Vectors of BIP-327: key_agg_vectors.json (valid cases) and sig_agg_vectors.json (the first).

use secp256k1::musig::{AggregatedNonce, PartialSignature, Session};

use super::*;

const KEYS: [&str; 3] = [
    "02f9308a019258c31049344f85f89d5229b531c845836f99b08601f113bce036f9",
    "03dff1d77f2a671c5f36183726db2341be58feae1da2deced843240f7b502ba659",
    "023590a94e768f8e1815c2f24b4d80a8e3149316c3518ce7b7ad338368d038ca66",
];

const AGGREGATES: [(&[usize], &str); 4] = [
    (&[0, 1, 2], "90539eede565f5d054f32cc0c220126889ed1e5d193baf15aef344fe59d4610c"),
    (&[2, 1, 0], "6204de8b083426dc6eaf9502d27024d53fc826bf7d2012148a0575435df54b2b"),
    (&[0, 0, 0], "b436e3bad62b8cd409969a224731c193d051162d8c5ae8b109306127da3aa935"),
    (&[0, 0, 1, 1], "69bc22bfa5d106306e48a20679de1d7389386124d07571d0d872686028c26a3e"),
];

fn keys_of(hex: &[&str]) -> Vec<PublicKey> {
    hex.iter().map(|key| secp::public_key_of(&hex::decode(key).unwrap()).unwrap()).collect()
}

#[test]
fn keys_aggregate_in_the_order_of_their_parties() {
    for (order, expected) in AGGREGATES {
        let keys: Vec<&str> = order.iter().map(|i| KEYS[*i]).collect();
        assert_eq!(hex::encode(aggregate(&keys_of(&keys)).agg_pk().to_byte_array()), expected);
    }
}

#[test]
fn partial_signatures_aggregate() {
    let keys = keys_of(&[
        "03935f972da013f80ae011890fa89b67a27b7be6ccb24d3274d18b2d4067f261a9",
        "02d2dc6f5df7c56acf38c7fa0ae7a759ae30e19b37359dfde015872324c7ef6e05",
    ]);
    let nonce = "0341432722c5cd0268d829c702cf0d1cbce57033eed201fd335191385227c3210c\
                 03d377f2d258b64aadc0e16f26462323d701d286046a2ea93365656afd9875982b";
    let message: [u8; 32] = bytes("599c67ea410d005b9da90817cf03ed3b1c868e4da4edf00a5880b0082c237869");
    let partials = [
        "b15d2cd3c3d22b04dae438ce653f6b4ecf042f42cfded7c41b64aaf9b4af53fb",
        "6193d6ac61b354e9105bbdc8937a3454a6d705b6d57322a5a472a02ce99fcb64",
    ]
    .map(|hex| PartialSignature::from_byte_array(&bytes(hex)).unwrap());
    let expected = "041da22223ce65c92c9a0d6c2cac828aaf1eee56304fec371ddf91ebb2b9ef09\
                    12f1038025857fedeb3ff696f8b99fa4bb2c5812f6095a2e0004ec99ce18de1e";

    let joint = aggregate(&keys);
    let session = Session::new(&joint, AggregatedNonce::from_byte_array(&bytes(nonce)).unwrap(), &message);
    let signature = session.partial_sig_agg(&partials.iter().collect::<Vec<_>>());
    let signature = signature.verify(&joint.agg_pk(), &message).unwrap().to_byte_array();
    assert_eq!(hex::encode(signature), expected);
    let public_key = joint.agg_pk_full().serialize();
    assert!(secp::verify_bip340(&public_key, &message, &signature, None).unwrap());
}

fn bytes<const N: usize>(hex: &str) -> [u8; N] {
    hex::decode(hex).unwrap().try_into().unwrap()
}
