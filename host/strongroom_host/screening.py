"""Machines that approve: a service that this host asks, answering with a key that only the service has.

Asked by POST with `{"request", "intent", "signature"}`, bytes in hexadecimal; it answers 200 and `{"approval"}`, the
bytes of an approval or a rejection. Anything else, and nothing within its seconds, is silence; and silence is a no.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Final

import httpx

from strongroom.approval.approval import MAX_SIZE

_log = logging.getLogger(__name__)

THREADS: Final = 16
"""Services asked at once. More requests than that wait for their own deadline: a no, not a longer wait."""

_MOST_ANSWER: Final = 4 * MAX_SIZE


@dataclass(frozen=True)
class Service:
    """url: where it is asked. seconds: its deadline, from the question to the last byte of the answer."""

    url: str
    seconds: float


class Screening:
    """services: by the name of the approver that each of them is. Thread safe."""

    def __init__(self, services: Mapping[str, Service], transport: httpx.BaseTransport | None = None) -> None:
        self._services = dict(services)
        self._client = httpx.Client(transport=transport, follow_redirects=False, trust_env=False)
        self._threads = ThreadPoolExecutor(THREADS, "screening") if services else None

    def close(self) -> None:
        if self._threads is not None:
            self._threads.shutdown(wait=False, cancel_futures=True)
        self._client.close()

    def __contains__(self, name: str) -> bool:
        return name in self._services

    def ask(self, name: str, request: str, intent: bytes, signature: bytes) -> bytes | None:
        """The bytes of an approval, unverified; None for silence. name: one that is contained."""
        service, question = (
            self._services[name],
            {"request": request, "intent": intent.hex(), "signature": signature.hex()},
        )
        if self._threads is None:
            return None
        # In a thread, because a client's own timeouts begin anew with every byte that drips in.
        answer: Future[bytes] = self._threads.submit(self._post, service, question)
        try:
            return answer.result(service.seconds)
        except TimeoutError:
            answer.cancel()
            _log.warning("screening %s: no answer within %s seconds", name, service.seconds)
        except (httpx.HTTPError, ValueError) as error:
            _log.warning("screening %s: %s: %s", name, type(error).__name__, error)
        return None

    def _post(self, service: Service, question: Mapping[str, str]) -> bytes:
        with self._client.stream("POST", service.url, json=question, timeout=service.seconds) as response:
            if response.status_code != 200:
                raise ValueError(f"it answered {response.status_code}")
            body = bytearray()
            for chunk in response.iter_bytes():
                body += chunk
                if len(body) > _MOST_ANSWER:
                    raise ValueError(f"it answered more than {_MOST_ANSWER} bytes")
        return _approval(httpx.Response(200, content=bytes(body)).json())


def _approval(answer: Any) -> bytes:
    if not isinstance(answer, dict) or not isinstance(answer.get("approval"), str):
        raise ValueError("its answer has no approval")
    return bytes.fromhex(answer["approval"])
