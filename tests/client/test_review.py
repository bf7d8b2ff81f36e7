"""`strongroom evidence review`: what is said of evidence, a release, its rebuilds and what changed; and the report."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding

from strongroom_client import keyfiles
from strongroom_client.reviewing import expiry, rebuilds
from strongroom_simulator import pki
from tests.client.browser import browser
from tests.client.custody import FakeSigner
from tests.client.reviewing import BEFORE, KEY, NOW, REGISTERS, component, described, listed, older, statement, write
from tests.cluster.commands import Ran, inside

OTHER = Ed25519PrivateKey.from_private_bytes(b"\x43" * 32)


@dataclass
class Bench:
    """A folder with everything that a review takes, all of it honest."""

    folder: Path
    root: pki.Identity
    release: Path

    def evidence(self, registers: Mapping[str, bytes] | None = None, root: pki.Identity | None = None) -> Path:
        measured = REGISTERS | {int(name.removeprefix("pcr")): value for name, value in (registers or {}).items()}
        document = FakeSigner(1, root or self.root).attest(os.urandom(32), os.urandom(32), registers=measured)
        return self._written("document", document)

    def statement(self, name: str, key: Ed25519PrivateKey = KEY, **changes: Any) -> Path:
        return self._written(name, rebuilds.sign(statement(builder=keyfiles.public(key), **changes), key))

    def known(self, **keys: Ed25519PrivateKey) -> Path:
        rows = [{"name": name, "key": keyfiles.public(key).hex()} for name, key in keys.items()]
        return write(self.folder / "rebuilders.json", {"rebuilders": rows})

    def file(self, name: str, value: Any) -> Path:
        return write(self.folder / name, value)

    def review(self, document: Path, *more: str | Path) -> Ran:
        pem = self._written("root.pem", self.root.certificate.public_bytes(Encoding.PEM))
        simulated = ("--mode", "simulated", "--root", pem)
        return inside("evidence", "review", document, "--release", self.release, *simulated, *more)

    def _written(self, name: str, content: bytes) -> Path:
        path = self.folder / name
        path.write_bytes(content)
        return path


@pytest.fixture
def bench(tmp_path: Path, measured: Path) -> Bench:
    return Bench(tmp_path, pki.root("simulated.nitro-enclaves"), measured)


def said(ran: Ran, subject: str) -> list[tuple[str, str]]:
    """Level and words of what was found on a subject."""
    return [(each["level"], each["words"]) for each in ran.json["findings"] if each["subject"] == subject]


def bad(ran: Ran) -> set[str]:
    return {each["subject"] for each in ran.json["findings"] if each["level"] == "bad"}


# --- The document ---


def test_an_honest_document_of_the_release(bench: Bench) -> None:
    ran = bench.review(bench.evidence(), "--json")
    assert ran.status == 0 and ran.json["accepted"] and not bad(ran)
    [(level, words)] = said(ran, "measurements")
    assert level == "good" and "strongroom-enclave 0.2.0" in words and "pcr0, pcr1 and pcr2" in words
    assert said(ran, "root")[0][0] == "note", "a simulated root is never simply good"
    assert "5 certificates" in said(ran, "chain")[0][1] and "not in debug" in said(ran, "debug")[0][1]
    [(level, words)] = said(ran, "age")
    assert level == "note" and "Nobody asked" in words
    assert [row["name"] for row in ran.json["registers"]] == ["pcr0", "pcr1", "pcr2", "pcr4", "pcr16"]
    assert [row["same"] for row in ran.json["registers"]] == [True, True, True, None, None]


def test_a_real_enclaves_document(bench: Bench, vectors: Path) -> None:
    """Under AWS's own root, judged at its own time and today; against the release that it is of, and another."""
    shown = inside("evidence", "verify", vectors / "nitro" / "base1", "--at", "2024-02-26T07:02:01Z", "--json").json
    measurements = {name: shown["measurements"][name] for name in ("pcr0", "pcr1", "pcr2")}
    own = bench.file("own.json", described(measurements=measurements))

    def review(release: Path, *more: str) -> Ran:
        return inside("evidence", "review", vectors / "nitro" / "base1", "--release", release, "--json", *more)

    ran = review(own, "--at", "document")
    assert ran.status == 0 and said(ran, "root") == [
        ("good", "AWS's Nitro root G1, pinned by the SHA-256 that AWS publishes")
    ]
    assert "CN=aws.nitro-enclaves" in ran.json["chain"][0]["subject"]
    assert bad(review(own)) == {"age"}
    assert bad(review(bench.release, "--at", "document")) == {"measurements"}


@pytest.mark.parametrize(
    ("break_it", "subject", "code"),
    [
        (lambda bench: bench.evidence(root=pki.root("simulated.nitro-enclaves")), "root", "evidence_root"),
        (lambda bench: bench.evidence({"pcr0": bytes(48)}), "debug", "evidence_debug"),
    ],
)
def test_a_document_that_is_refused(bench: Bench, break_it: Callable[[Bench], Path], subject: str, code: str) -> None:
    ran = bench.review(break_it(bench), "--json")
    assert ran.status == 1 and bad(ran) == {subject}
    assert code in said(ran, subject)[0][1] and ran.json["evidence"]["refused"]["code"] == code
    assert len(ran.json["chain"]) == 5, "what was refused is shown all the same"
    assert not ran.json["registers"], "nothing is measured by a document that is refused"


def test_a_document_that_was_changed(bench: Bench) -> None:
    document = bench.evidence()
    raw = bytearray(document.read_bytes())
    raw[-1] ^= 1
    document.write_bytes(raw)
    assert bad(bench.review(document, "--json")) == {"signature"}
    document.write_bytes(b"noise")
    refused = bench.review(document, "--json")
    assert refused.status == 1 and refused.json["refused"]["code"] == "evidence_malformed"


# --- Measurements ---


@pytest.mark.parametrize("register", ["pcr0", "pcr1", "pcr2"])
def test_another_image(bench: Bench, register: str) -> None:
    ran = bench.review(bench.evidence({register: b"\xee" * 48}), "--json")
    assert ran.status == 1 and bad(ran) == {"measurements"}
    [(_, words)] = said(ran, "measurements")
    assert f"{register} is eeeeeeeeeeeeeeee…" in words
    assert [row["name"] for row in ran.json["registers"] if row["same"] is False] == [register]


def test_the_release_before_is_recognised(bench: Bench) -> None:
    previous = bench.file("previous.json", older())
    measured = dict.fromkeys(("pcr0", "pcr1", "pcr2"), b"\x0f" * 48)
    ran = bench.review(bench.evidence(measured), "--previous", previous, "--json")
    assert ran.status == 1 and "the last reviewed one, strongroom-enclave 0.1.0" in said(ran, "measurements")[0][1]


def test_a_signed_image(bench: Bench) -> None:
    signed = described(measurements=described()["measurements"] | {"pcr8": "a8" * 48})
    bench.file(bench.release.name, signed)
    assert bad(bench.review(bench.evidence(), "--json")) == {"measurements"}
    assert bench.review(bench.evidence({"pcr8": b"\xa8" * 48}), "--json").status == 0
    bench.file(bench.release.name, described())
    ran = bench.review(bench.evidence({"pcr8": b"\xa8" * 48}), "--json")
    assert ran.status == 0 and ("note", "measurements") in {(e["level"], e["subject"]) for e in ran.json["findings"]}


# --- Rebuilds ---


def test_nobody_rebuilt_it(bench: Bench) -> None:
    ran = bench.review(bench.evidence(), "--json")
    assert said(ran, "rebuilds")[0][0] == "note" and ran.status == 0
    ran = bench.review(bench.evidence(), "--needed", "1", "--json")
    assert ran.status == 1 and bad(ran) == {"rebuilds"}


def test_who_rebuilt_it_and_got_the_same(bench: Bench) -> None:
    known = bench.known(Alder=KEY, Birch=OTHER)
    both = ("--rebuild", bench.statement("a"), "--rebuild", bench.statement("b", OTHER))
    ran = bench.review(bench.evidence(), "--rebuilders", known, *both, "--needed", "2", "--json")
    [(level, words)] = said(ran, "rebuilds")
    assert ran.status == 0 and level == "good" and "Alder" in words and "Birch" in words and "commit c0ffee" in words


def test_one_rebuilder_counts_once_and_a_stranger_never(bench: Bench) -> None:
    known, twice = bench.known(Alder=KEY), ("--rebuild", bench.statement("a"), "--rebuild", bench.statement("again"))
    ran = bench.review(bench.evidence(), "--rebuilders", known, *twice, "--needed", "2", "--json")
    assert ran.status == 1 and "1 of the 2" in said(ran, "rebuilds")[0][1]
    stranger = ("--rebuild", bench.statement("b", OTHER))
    ran = bench.review(bench.evidence(), "--rebuilders", known, *stranger, "--needed", "1", "--json")
    assert ran.status == 1 and "whom nobody here knows" in said(ran, "rebuilds")[0][1]


def test_a_rebuilder_who_got_another_image(bench: Bench) -> None:
    other = {f"pcr{index}": b"\x99" * 48 for index in (0, 1, 2)}
    odd = bench.statement("a", measurements=other)
    ran = bench.review(bench.evidence(), "--rebuilders", bench.known(Alder=KEY), "--rebuild", odd, "--json")
    assert ran.status == 1 and ("bad", "Alder rebuilt strongroom-enclave 0.2.0 and got another image") in said(
        ran, "rebuilds"
    )
    elsewhere = bench.statement("a", measurements=other, release="strongroom-enclave 0.1.0")
    ran = bench.review(bench.evidence(), "--rebuilders", bench.known(Alder=KEY), "--rebuild", elsewhere, "--json")
    assert ran.status == 0 and "another release" in said(ran, "rebuilds")[0][1]


def test_a_statement_that_is_none(bench: Bench) -> None:
    file = bench.statement("a")
    file.write_bytes(file.read_bytes()[:-1] + b"\0")
    ran = bench.review(bench.evidence(), "--rebuilders", bench.known(Alder=KEY), "--rebuild", file, "--json")
    assert ran.status == 1 and bad(ran) == {"rebuilds"}


# --- What changed ---


def changed(bench: Bench, before: dict[str, Any], now: dict[str, Any]) -> Sequence[str | Path]:
    files = bench.file("previous.json", older()), bench.file("before.json", before), bench.file("now.json", now)
    return ("--previous", files[0], "--previous-sbom", files[1], "--sbom", files[2])


def test_differences_down_to_the_packages(bench: Bench) -> None:
    ran = bench.review(bench.evidence(), *changed(bench, BEFORE, NOW), "--json")
    assert ran.status == 0
    assert said(ran, "changes") == [("note", f"kernel: {'01' * 8}… → {'0c' * 8}…")]
    assert said(ran, "packages") == [
        ("note", "another content under the same version, ask why: deb/debian/libssl3"),
        ("note", "of 4: 1 new, 1 gone, 2 changed"),
    ]
    assert {row["name"]: (row["before"], row["after"]) for row in ran.json["packages"]} == {
        "deb/debian/libc6": ("2.36-9+deb12u12", "2.36-9+deb12u13"),
        "deb/debian/libssl3": ("3.0.17-1", "3.0.17-1"),
        "deb/debian/tzdata": ("", "2026c"),
        "deb/debian/zlib1g": ("1.2.13", ""),
    }


def test_the_same_release_again(bench: Bench) -> None:
    more = ("--previous", bench.release, "--sbom", bench.file("a.json", NOW), "--previous-sbom", bench.file("b", NOW))
    ran = bench.review(bench.evidence(), *more, "--json")
    assert said(ran, "changes") == [("good", "the same image as strongroom-enclave 0.2.0, bit for bit")]
    assert said(ran, "packages") == [("good", "of 4: 0 new, 0 gone, 0 changed")]


def test_two_lists_of_one_image(bench: Bench) -> None:
    more = ("--previous", bench.release, "--sbom", bench.file("a", NOW), "--previous-sbom", bench.file("b", BEFORE))
    ran = bench.review(bench.evidence(), *more, "--json")
    assert said(ran, "packages")[1] == (
        "note",
        "the image is the same and the lists are not: one of them is of another image",
    )


def test_how_a_release_was_made_is_compared_too(bench: Bench) -> None:
    made = {"toolchain": {"rustc": "rustc 1.95.0"}, "as_locked": False, "source": "c0ffee"}
    bench.file(bench.release.name, described(made_with=made))
    ran = bench.review(bench.evidence(), "--previous", bench.file("previous.json", older()), "--json")
    words = [words for _, words in said(ran, "changes")]
    assert "sources: nothing → c0ffee" in words and "built with rustc: nothing → rustc 1.95.0" in words
    assert "another toolchain" in said(ran, "measurements")[1][1] and ran.status == 0


def test_a_list_that_is_missing_is_said(bench: Bench) -> None:
    ran = bench.review(bench.evidence(), "--previous", bench.file("previous.json", older()), "--json")
    assert said(ran, "packages")[0][0] == "note"
    assert said(bench.review(bench.evidence(), "--json"), "changes")[0][0] == "note"


# --- Files, use, what is kept ---


@pytest.mark.parametrize(
    "more",
    [
        ("--signer", "enclave-1"),
        ("--mode", "lax"),
        ("--at", "yesterday"),
        ("--needed", "-1"),
        ("--until", "2027-01-01"),
        ("--reviews", "reviews.json"),
    ],
)
def test_wrong_use(bench: Bench, more: tuple[str, str]) -> None:
    assert bench.review(bench.evidence(), *more).status == 2


def test_a_review_is_noted_where_it_was_good(bench: Bench) -> None:
    reviews = bench.folder / "reviews.json"
    keep = ("--reviews", reviews, "--until", "2100-01-01")
    assert bench.review(bench.evidence({"pcr2": b"\xee" * 48}), *keep).status == 1
    assert not reviews.exists()
    assert bench.review(bench.evidence(), *keep).status == 0
    [reviewed] = expiry.load(reviews)
    assert reviewed.release == "strongroom-enclave 0.2.0" and reviewed.until == 4_102_444_800
    assert bench.review(bench.evidence(), *keep).status == 0
    assert len(expiry.load(reviews)) == 2


def test_in_words(bench: Bench) -> None:
    ran = bench.review(bench.evidence(), *changed(bench, BEFORE, NOW))
    assert ran.status == 0 and ran.out.startswith("accepted  mode simulated")
    assert "good  measurements  the image is strongroom-enclave 0.2.0" in ran.out and "zlib1g" in ran.out
    ran = bench.review(bench.evidence({"pcr2": b"\xee" * 48}))
    assert ran.status == 1 and ran.out.startswith("refused  mode simulated")


# --- The report ---

EVIL = "<script>document.title='run'</script><img src=https://example.invalid/x>[bold]&amp;"


def report(bench: Bench) -> Path:
    """Of files whose every text is an attack on whoever opens it."""
    evil = listed(*(component(f"{EVIL}{name}", EVIL) for name in "ab"))
    bench.file(bench.release.name, described(cmdline=EVIL, metadata={"ImageName": EVIL, "ImageVersion": "1"}))
    path = bench.folder / "report.html"
    more = (*changed(bench, BEFORE, evil), "--rebuilders", bench.known(Alder=KEY), "--rebuild", bench.statement("a"))
    assert bench.review(bench.evidence({"pcr2": b"\xee" * 48}), *more, "--html", path).status == 1
    return path


def test_a_report_is_one_file_of_escaped_text(bench: Bench) -> None:
    text = report(bench).read_text()
    assert "<script" not in text and "<img" not in text and "&lt;script&gt;" in text
    assert "default-src 'none'" in text and "://" not in text.replace("https://example.invalid", "")


def test_a_report_in_a_browser(bench: Bench) -> None:
    """It runs nothing, asks for nothing, has no width that a page would scroll by, and is light and dark."""
    url = report(bench).as_uri()
    with browser() as chromium:
        page, asked = chromium.page, list[str]()
        page.on("request", lambda request: asked.append(request.url))
        colours = set()
        for scheme in ("light", "dark"):
            page.emulate_media(color_scheme=scheme)
            page.goto(url)
            colours.add(page.evaluate("getComputedStyle(document.body).backgroundColor"))
            for width in (360, 900):
                page.set_viewport_size({"width": width, "height": 1300})
                assert page.evaluate("document.documentElement.scrollWidth") <= width
        assert len(colours) == 2 and page.title().startswith("Refused: ")
        assert asked == [url, url] and not chromium.errors
        assert page.locator("h1").inner_text() == "Evidence review: Refused"
        assert page.locator("td.level.bad").count() > 0
