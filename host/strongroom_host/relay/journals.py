"""Journals from the host's side: opened after a restart, joined, brought level, and kept.

The host carries questions and answers, and keeps what each journal seals. It decides nothing: which journals agree, the
signers find out for themselves.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Final

from strongroom.errors import Refusal
from strongroom.wire import cbor
from strongroom.wire.fields import Fields, bytes_item
from strongroom_host.relay.group import Group
from strongroom_host.relay.handshake import Handshakes
from strongroom_host.signers import Refused, Signers
from strongroom_host.storage.journals import Journals

TIMEOUT: Final = 10.0
MOST_QUESTIONS: Final = 4096
"""To one peer: a million entries are a thousand pages."""

MOST_PAGES: Final = 1024
"""Of a checkpoint."""

MOST_MENDINGS: Final = 4
MOST_AT_ONCE: Final = 1 << 21
"""Bytes of blocks in one request."""


class Keeper:
    """load: gives a restarted signer or witness its wallet back. Thread safe."""

    def __init__(
        self,
        signers: Signers,
        handshakes: Handshakes,
        journals: Journals | None,
        load: Callable[[Group, str], None],
    ) -> None:
        self._signers = signers
        self._handshakes = handshakes
        self._journals = journals
        self._load = load

    @property
    def journals(self) -> Journals:
        if self._journals is None:
            raise Refusal("misuse", "this relay was given nowhere to keep journals")
        return self._journals

    def keep(self, group: Group, said: Sequence[tuple[str, Sequence[bytes]]]) -> None:
        """Keeps what was sealed; a journal of which something was lost, or that grew long, gives all it has."""
        if not said:
            return
        for name in self.journals.keep(group.order, said):
            self.checkpoint(group, name)

    def checkpoint(self, group: Group, name: str) -> None:
        """Fetched in pages, and put in the place of what is kept only once it is whole."""
        blocks: list[bytes] = []
        for page in range(MOST_PAGES):
            answer = self._call(group, name, "journal.checkpoint", {"page": page})
            blocks += answer.items("blocks", bytes_item, most=4096)
            if not answer.flag("more"):
                return self.journals.replace(group.order, name, blocks)
        raise Refusal("malformed_message", f"the checkpoint of {name} does not end", culprits=(name,))

    def open(self, group: Group, name: str) -> None:
        """After a start: the data key, and all its blocks in order."""
        order, store = group.order, self.journals
        wrapped, after = store.wrapped(order, name), -1
        while True:
            page = _within(store.blocks(order, name, after))
            blocks: list[cbor.Value] = [block for _, block in page]
            answer = self._call(group, name, "journal.open", {"wrapped": wrapped, "blocks": blocks})
            if wrapped is None:
                wrapped = answer.blob("wrapped")
                store.begin(order, name, wrapped)
            if answer.optional_text("refused") is not None:
                # Something in between was lost. What comes behind it is of no use; the others know it.
                store.cut(order, name, answer.integer("sequence"))
                return
            if not page:
                return
            after = page[-1][0]

    def join(self, group: Group, name: str, peers: Sequence[str] | None = None) -> None:
        """Opens it if need be, and carries its questions until it has joined. Raises Refusal if it cannot now.

        peers: whom to ask; None for all."""
        trouble: Refusal | None = None
        for _ in range(2):
            for peer in group.journals if peers is None else peers:
                if peer == name:
                    continue
                try:
                    if self.exchange(group, name, peer):
                        return
                except Refusal as refusal:
                    trouble = refusal
        raise trouble or Refusal("journal_quorum", f"{name} cannot hear enough other journals now", culprits=(name,))

    def level(self, group: Group, names: Sequence[str]) -> None:
        """Each of these hears the others."""
        for name in names:
            for peer in names:
                if peer != name:
                    self.exchange(group, name, peer)

    def catch_up(self, group: Group, name: str) -> None:
        """It hears all others that answer."""
        for peer in group.journals:
            if peer != name:
                with suppress(Refusal):
                    self.exchange(group, name, peer)

    def exchange(self, group: Group, name: str, peer: str) -> bool:
        """Until it has heard the peer. Whether it has joined. Raises Refusal."""
        for _ in range(MOST_QUESTIONS):
            question = self._call(group, name, "journal.ask", {"peer": peer}).blob("message")
            told = self._call(group, peer, "journal.tell", {"peer": name, "message": question})
            heard = self._call(group, name, "journal.hear", {"peer": peer, "message": told.blob("message")})
            self.keep(group, [(peer, told.items("blocks", bytes_item))])
            self.keep(group, [(name, heard.items("blocks", bytes_item))])
            if heard.flag("heard"):
                return heard.flag("joined")
        raise Refusal("journal_behind", f"{name} does not come to an end with {peer}", culprits=(peer,))

    def _call(self, group: Group, name: str, operation: str, body: dict[str, cbor.Value]) -> Fields:
        """One question; what a restart took from the signer is given back to it. Raises Refusal."""
        for _ in range(MOST_MENDINGS):
            began = time.monotonic()
            try:
                return self._signers.call(name, operation, {"wallet": group.wallet, **body}, TIMEOUT)
            except Refused as refusal:
                if refusal.code in ("unknown_wallet", "unknown_order"):
                    self._load(group, name)
                elif refusal.code in ("channel_missing", "channel_expired", "channel_link") and "peer" in body:
                    self._link(group, str(body["peer"]), name, began)
                elif refusal.code == "not_joined" and operation in ("journal.ask", "journal.tell"):
                    self.open(group, name)
                else:
                    raise
                if operation == "journal.hear":
                    # The answer was for the start, or the channel, that is gone.
                    raise
        raise Refused(name, Refusal("not_joined", f"{name} could not be brought to answer", culprits=(name,)))

    def _link(self, group: Group, opener: str, name: str, began: float) -> None:
        try:
            self._handshakes.open(group.order, [(opener, name)], began)
        except Refused as refusal:
            if refusal.code not in ("unknown_wallet", "unknown_order"):
                raise
            self._load(group, refusal.by)
            self._handshakes.open(group.order, [(opener, name)], began)


def _within(page: list[tuple[int, bytes]]) -> list[tuple[int, bytes]]:
    """As many of these as a frame takes, one at least."""
    size = 0
    for count, (_, block) in enumerate(page):
        size += len(block)
        if count and size > MOST_AT_ONCE:
            return page[:count]
    return page
