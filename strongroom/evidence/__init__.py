"""Evidence: a signer's proof of what it is. Untrusted bytes go in, a `Statement` comes out, or a Refusal with a reason."""
