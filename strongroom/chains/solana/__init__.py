"""Solana: messages decoded strictly, and the programs whose instructions are understood."""

from strongroom.chains.solana.message import MAX_SIZE, Message

__all__ = ["MAX_SIZE", "Message"]
