"""Bytes on the wire: deterministic CBOR, frames, and the request and response envelopes of a signer."""
