"""Bitcoin: PSBTs and their effects, the signed transaction, messages by BIP-322, addresses."""

from strongroom.chains.bitcoin.effects import Decoded, decode
from strongroom.chains.bitcoin.finalizer import signed
from strongroom.chains.bitcoin.keys import WalletKeys
from strongroom.chains.bitcoin.psbt import MAX_SIZE, Psbt
from strongroom.chains.bitcoin.script import NETWORKS, address_of, script_of

__all__ = ["MAX_SIZE", "NETWORKS", "Decoded", "Psbt", "WalletKeys", "address_of", "decode", "script_of", "signed"]
