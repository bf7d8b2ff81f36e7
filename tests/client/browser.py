"""Chromium with an authenticator in it, as WebDriver's virtual one (WebAuthn level 3, section 11)."""

from __future__ import annotations

import shutil
import socket
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from playwright.sync_api import ConsoleMessage, Page, sync_playwright

NAMES = ("chromium", "chromium-browser", "google-chrome")


class Browser:
    """One page with one authenticator, which answers by itself. errors: whatever the page complained about."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.errors: list[str] = []
        page.on("console", self._said)
        page.on("pageerror", lambda error: self.errors.append(str(error)))
        self._session = page.context.new_cdp_session(page)
        self._session.send("WebAuthn.enable", {"enableUI": False})
        options = {
            "protocol": "ctap2",
            "transport": "internal",
            "hasResidentKey": True,
            "hasUserVerification": True,
            "isUserVerified": True,
            "automaticPresenceSimulation": True,
        }
        self._authenticator = self._session.send("WebAuthn.addVirtualAuthenticator", {"options": options})

    def _said(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            self.errors.append(message.text)

    def verifies(self, *, person: bool) -> None:
        """Whether the authenticator recognises whoever touches it."""
        self._session.send(
            "WebAuthn.setUserVerified",
            {"authenticatorId": self._authenticator["authenticatorId"], "isUserVerified": person},
        )

    def open(self, url: str) -> Page:
        self.page.goto(url)
        self.page.wait_for_selector("main[data-ready=yes]")
        return self.page


@contextmanager
def browser() -> Iterator[Browser]:
    path = next(filter(None, map(shutil.which, NAMES)), None)
    if path is None:
        pytest.skip("no Chromium on this machine: infra/setup installs it where Debian's package can be had")
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=path, args=["--no-sandbox", "--disable-gpu"])
        try:
            yield Browser(chromium.new_page(viewport={"width": 900, "height": 1300}, color_scheme="light"))
        finally:
            chromium.close()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
