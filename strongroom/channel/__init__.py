"""The pairwise channel between signers: handshake, sealed messages, echoes. The host carries it and reads none of it."""
