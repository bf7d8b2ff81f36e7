"""Proofs for lists that a policy keeps as a root, from the list's own file."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from strongroom.chains.effects import Effects
from strongroom.errors import Refusal
from strongroom.policy.arguments import listed_arguments
from strongroom.policy.document import Policy
from strongroom.policy.lists import MAX_PROOFS, Proof, Prover, Recipients
from strongroom_client.policies.reading import load_entries


def provers(named: Sequence[str], policy: Policy) -> tuple[Prover, ...]:
    """named: NAME=FILE for each list. Raises Refusal `bad_file` for a file that is not what officers signed."""
    found = []
    for text in named:
        name, _, file = text.partition("=")
        listed = next((each for each in policy.lists if each.name == name and each.root is not None), None)
        if listed is None:
            raise Refusal("bad_file", f"the policy keeps no list {name[:32]!r} as a root")
        entries = load_entries(Path(file))
        if Recipients.rooted(name, entries) != listed:
            raise Refusal("bad_file", f"{file} is another list than the one whose root officers signed")
        found.append(Prover(name, entries))
    return tuple(found)


def proofs(known: Sequence[Prover], policy: Policy, effects: Effects) -> tuple[Proof, ...]:
    """For everybody that the transaction concerns and that is on one of these lists: whom it pays, who may take from
    the wallet later, and whom a call names where a rule looks for a list."""
    people = [each.to for each in effects.transfers] + [each.spender for each in effects.allowances]
    people += [each for call in effects.calls for each in listed_arguments(policy, call, effects.chain)]
    made = [prover.prove(address) for prover in known for address in dict.fromkeys(people)]
    return tuple(proof for proof in made if proof is not None)[:MAX_PROOFS]
