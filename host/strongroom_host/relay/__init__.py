"""Carries sealed messages between signers that do not trust it: rounds, channels, tickets, wallets, signatures."""
