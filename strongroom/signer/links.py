"""A wallet's channels: the newest one that the peer knows sends, older ones still receive until they expire."""

from __future__ import annotations

import threading
from collections.abc import Sequence

from strongroom.channel.handshake import Answered, Opened, Proven
from strongroom.channel.session import ID, Channel
from strongroom.errors import Refusal

MAX_KEPT = 4
"""Channels kept for each peer, of those in use and as many of those that are not yet: renewals must not lose what is
under way, and handshakes that a host leaves half done must not push out what is in use."""


class Links:
    def __init__(self) -> None:
        self.opened: dict[str, Opened] = {}
        self.answered: dict[str, Answered] = {}
        self.proven: dict[str, Proven] = {}
        self._channels: dict[str, list[Channel]] = {}
        self._lock = threading.Lock()

    def add(self, channel: Channel, now: int) -> None:
        """Channels with an earlier start of the peer go: it has forgotten them and could open nothing."""
        with self._lock:
            known = self._channels.get(channel.peer, [])
            kept = [channel, *(old for old in known if old.expires > now and old.boot_key == channel.boot_key)]
            self._channels[channel.peer] = _newest(kept)

    def cut(self, peers: Sequence[str]) -> None:
        """Of peers that must be something else from now on: nothing is sent or taken over what was agreed before."""
        with self._lock:
            for peer in peers:
                for kept in (self.opened, self.answered, self.proven, self._channels):
                    kept.pop(peer, None)

    def sending(self, peer: str, now: int) -> Channel:
        """Raises Refusal `channel_missing` or `channel_expired`, naming the peer."""
        channels = self._channels.get(peer, [])
        alive = [channel for channel in channels if channel.expires > now]
        for channel in alive:
            if channel.proven:
                return channel
        if alive:
            return alive[0]
        code = "channel_expired" if channels else "channel_missing"
        raise Refusal(code, f"there is no channel to {peer} now", culprits=(peer,))

    def receiving(self, peer: str, sealed: bytes, now: int) -> Channel:
        """The channel that a sealed message names. Raises Refusal `channel_link`."""
        for channel in self._channels.get(peer, []):
            if channel.identifier == sealed[:ID] and channel.expires > now:
                return channel
        raise Refusal("channel_link", f"a message said to be from {peer} is of no channel with it", verdict="link")

    def expiries(self) -> list[tuple[str, int]]:
        with self._lock:
            return sorted((peer, max(each.expires for each in kept)) for peer, kept in self._channels.items() if kept)


def _newest(channels: list[Channel]) -> list[Channel]:
    """channels: the newest first, as is what is returned."""
    kept = [each for proven in (True, False) for each in [c for c in channels if c.proven is proven][:MAX_KEPT]]
    return [each for each in channels if each in kept]
