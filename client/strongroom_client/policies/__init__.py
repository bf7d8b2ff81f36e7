"""Policies as people write them: JSON with labels, durations in words, amounts and addresses as text.

docs/client.md gives the form. What is signed is the canonical document (strongroom.policy), never this.
"""

from strongroom_client.policies.reading import load, read
from strongroom_client.policies.writing import document

__all__ = ["document", "load", "read"]
