"""EVM chains: transactions, known calls, messages, typed data, addresses."""

from strongroom.chains.evm.address import address, checksum, parse_address, text
from strongroom.chains.evm.transaction import FEE_MARKET, MAX_SIZE, Transaction

TYPE = bytes((FEE_MARKET,))
"""The first byte of an EIP-1559 transaction, signed or not."""

__all__ = ["FEE_MARKET", "MAX_SIZE", "TYPE", "Transaction", "address", "checksum", "parse_address", "text"]
