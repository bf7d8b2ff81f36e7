"""The page that this machine serves: found by its random path, at its own name, answered from itself alone."""

from __future__ import annotations

import http.client
import json
from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from strongroom.errors import Refusal
from strongroom_client.approving.server import HEADERS, MOST_BODY, Desk, Done, Page
from tests.client.browser import free_port
from tests.wire.refused import refused


def answer(said: Mapping[str, Any]) -> Done[str]:
    if said.get("word") != "yes":
        raise Refusal("no_decision", "say yes")
    return Done("a result", "Done", "well")


@pytest.fixture
def desk() -> Iterator[Desk[str]]:
    with Desk(Page("<!doctype html><title>x</title>", "approve.js", answer), free_port()) as desk:
        yield desk


def ask(
    desk: Desk[str], method: str, path: str, body: bytes = b"", *, address: str = "127.0.0.1", **headers: str
) -> http.client.HTTPResponse:
    connection = http.client.HTTPConnection(address, desk.port, timeout=5)
    given = {"Host": f"localhost:{desk.port}", "Origin": desk.origin, "Content-Type": "application/json"}
    given |= {name.replace("_", "-"): value for name, value in headers.items()}
    connection.request(method, path, body or None, {name: value for name, value in given.items() if value})
    return connection.getresponse()


def path(desk: Desk[str], end: str = "") -> str:
    return desk.url.removeprefix(desk.origin) + end


def test_the_page_and_its_parts_with_every_header(desk: Desk[str]) -> None:
    for end, kind in (("", "text/html"), ("page.css", "text/css"), ("page.js", "text/javascript")):
        answered = ask(desk, "GET", path(desk, end))
        assert answered.status == 200 and (answered.getheader("Content-Type") or "").startswith(kind)
        assert {name: answered.getheader(name) for name in HEADERS} == dict(HEADERS)
        assert answered.read()


@pytest.mark.parametrize("where", ["/", "/page.js", "/x/", "/../etc/passwd", "/%2e%2e/approve.js"])
def test_nothing_is_found_without_the_path(desk: Desk[str], where: str) -> None:
    answered = ask(desk, "GET", where)
    assert (
        answered.status == 404 and answered.getheader("Content-Security-Policy") == HEADERS["Content-Security-Policy"]
    )


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1", "localhost", "localhost:1", "LOCALHOST"])
def test_another_name_that_leads_here_finds_nothing(desk: Desk[str], host: str) -> None:
    """DNS rebinding: a page of somebody else's whose name was pointed to this machine."""
    assert ask(desk, "GET", path(desk), Host=host).status == 404
    assert ask(desk, "POST", path(desk, "answer"), b'{"word": "yes"}', Host=host).status == 403


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Origin": "https://evil.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"Origin": ""}, 403),
        ({"Content_Type": "text/plain"}, 403),
        ({"Content_Type": "application/x-www-form-urlencoded"}, 403),
        ({"Content_Length": str(MOST_BODY + 1)}, 403),
        ({"Content_Length": "-1"}, 403),
    ],
)
def test_an_answer_comes_from_the_page_alone(desk: Desk[str], headers: dict[str, str], status: int) -> None:
    assert ask(desk, "POST", path(desk, "answer"), b'{"word": "yes"}', **headers).status == status
    refused("no_decision", desk.wait, 0.01)
    assert ask(desk, "POST", "/elsewhere/answer", b'{"word": "yes"}').status == 404
    refused("no_decision", desk.wait, 0.01)


def test_a_refusal_is_shown_and_the_page_may_be_answered_again(desk: Desk[str]) -> None:
    for body in (b'{"word": "no"}', b"[]", b"\xff", b"[" * 30_000):
        shown = json.loads(ask(desk, "POST", path(desk, "answer"), body).read())
        assert shown["refused"]["code"] in ("no_decision", "malformed_message") and shown["refused"]["remedy"]
    first = json.loads(ask(desk, "POST", path(desk, "answer"), b'{"word": "yes"}').read())
    assert first == {"done": {"title": "Done", "text": "well"}}
    assert desk.wait(5) == "a result"
    # Whatever comes after it changes nothing.
    assert json.loads(ask(desk, "POST", path(desk, "answer"), b'{"word": "no"}').read()) == first


def test_both_loopbacks_are_taken_so_that_neither_is_anothers(desk: Desk[str]) -> None:
    assert ask(desk, "GET", path(desk), address="127.0.0.1").status == 200
    other: Desk[str] = Desk(Page("", "approve.js", answer), desk.port)
    assert refused("page_unavailable", other.__enter__).reason.startswith(f"port {desk.port}")


def test_every_page_is_at_another_path(desk: Desk[str]) -> None:
    assert Desk(Page("", "approve.js", answer), 1).url != Desk(Page("", "approve.js", answer), 1).url
    assert len(path(desk).strip("/")) == 32
