"""The signer: one sans-IO state machine with its table, behind the seams sealer, attester, clock and listener."""
