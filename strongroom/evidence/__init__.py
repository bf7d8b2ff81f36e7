"""Evidence: what proves what a signer is. Untrusted bytes go in; a `Statement` comes out, or a Refusal and why."""
