"""`make demo`: three signers, one wallet, and a malicious host that gets nowhere. Each step says what it proves."""
