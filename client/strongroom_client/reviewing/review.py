"""One review: evidence held against a named release, told as findings that a person reads and a script counts.

A finding is good, a note (something to know), or bad. Evidence is accepted where nothing is bad. What only its
builder says of an image (names, packages) is never more than a note.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final, Literal

from cryptography import x509

from strongroom.errors import Refusal
from strongroom.evidence import nitro
from strongroom.evidence.statement import Statement
from strongroom_client.evidence import Judgement, show_time
from strongroom_client.reviewing.packages import Change, Packages, changes, count
from strongroom_client.reviewing.rebuilds import Rebuild
from strongroom_client.reviewing.release import IMAGE, SIGNED, Release

Level = Literal["good", "note", "bad"]

MEANINGS: Final[Mapping[str, str]] = {
    "pcr0": "the whole image",
    "pcr1": "kernel and first ramdisk",
    "pcr2": "the other ramdisks: the signer's program",
    "pcr3": "the parent instance's role",
    "pcr4": "the parent instance",
    SIGNED: "the certificate that signed the image",
    "pcr16": "the signer's configuration",
    "pcr17": "its KMS key's policy",
}
_SUBJECTS: Final[Mapping[str, str]] = {
    "evidence_root": "root",
    "evidence_chain": "chain",
    "evidence_signature": "signature",
    "evidence_expired": "age",
    "evidence_nonce": "age",
    "evidence_debug": "debug",
}


@dataclass(frozen=True)
class Finding:
    level: Level
    subject: str
    words: str


@dataclass(frozen=True)
class Register:
    """release, roster: what they want it to be; None where they say nothing of it."""

    name: str
    measured: bytes
    release: bytes | None
    roster: bytes | None

    @property
    def meaning(self) -> str:
        return MEANINGS.get(self.name, "")

    @property
    def same(self) -> bool | None:
        wanted = [each for each in (self.release, self.roster) if each is not None]
        return all(each == self.measured for each in wanted) if wanted else None


@dataclass(frozen=True)
class Link:
    """A certificate of the chain. Times in Unix seconds."""

    subject: str
    begins: int
    ends: int


@dataclass(frozen=True)
class Given:
    """What a review is made from.

    source: where the evidence is from, in words. fresh: it answers a nonce of ours.
    rebuilds: by file, what its builder signed or why it is no statement. builders: names by key. needed: how many of
    the named must have got the release's measurements. roster: what an order wants of this signer, where known.
    """

    source: str
    document: bytes
    judgement: Judgement
    release: Release
    fresh: bool = False
    packages: Packages | None = None
    previous: Release | None = None
    previous_packages: Packages | None = None
    rebuilds: tuple[tuple[str, Rebuild | Refusal], ...] = ()
    builders: Mapping[bytes, str] = field(default_factory=dict)
    needed: int = 0
    roster: Mapping[str, bytes] = field(default_factory=dict)


@dataclass(frozen=True)
class Review:
    given: Given
    findings: tuple[Finding, ...]
    chain: tuple[Link, ...]
    registers: tuple[Register, ...]
    changes: tuple[Change, ...]

    @property
    def accepted(self) -> bool:
        return not any(finding.level == "bad" for finding in self.findings)


def review(given: Given) -> Review:
    chain, registers, changed = _chain(given.document), _registers(given), _changes(given)
    found = [
        *_evidence(given, chain),
        *_measured(given, registers),
        *_rebuilt(given),
        *_changed(given, changed),
    ]
    return Review(given, tuple(found), chain, registers, changed)


# --- The document ---


def _chain(document: bytes) -> tuple[Link, ...]:
    """Nothing for a document that is none: the findings say why."""
    try:
        path = nitro.unverified_chain(document)
    except Refusal:
        return ()
    return tuple(
        Link(_name(each), int(each.not_valid_before_utc.timestamp()), int(each.not_valid_after_utc.timestamp()))
        for each in path.certificates
    )


def _name(certificate: x509.Certificate) -> str:
    try:
        return certificate.subject.rfc4514_string()
    except ValueError:  # The library reads names late.
        return "a name that cannot be read"


def _evidence(given: Given, chain: tuple[Link, ...]) -> Iterator[Finding]:
    statement, refusal = given.judgement.statement, given.judgement.refusal
    if refusal is not None:
        subject = _SUBJECTS.get(refusal.code, "document")
        yield Finding("bad", subject, f"refused with {refusal.code}: {refusal.reason}. {refusal.remedy}")
    if statement is not None:
        yield _root(statement)
        yield Finding("good", "chain", f"{len(chain)} certificates on P-384, one straight path from root to leaf")
        yield Finding("good", "signature", f"the document is signed by its leaf, of {statement.subject}")
        yield _age(given, statement)
        yield Finding("good", "debug", "not in debug mode: PCR0 is not zero")


def _root(statement: Statement) -> Finding:
    if statement.mode == "production":
        return Finding("good", "root", "AWS's Nitro root G1, pinned by the SHA-256 that AWS publishes")
    return Finding("note", "root", "a simulated root: this proves something to nobody but whoever made the root")


def _age(given: Given, statement: Statement) -> Finding:
    made, at = statement.timestamp, given.judgement.at
    left = f"its leaf lives until {show_time(statement.expires)}"
    if given.fresh:
        return Finding("good", "age", f"it answers this review's nonce, made {show_time(made)}; {left}")
    return Finding(
        "note",
        "age",
        f"made {show_time(made)}, {_span(at - made)} before the time it is judged at; {left}. Nobody asked for it just "
        "now: whoever handed it over chose it",
    )


def _span(seconds: int) -> str:
    for size, name in ((86_400, "days"), (3_600, "hours"), (60, "minutes")):
        if seconds >= 2 * size:
            return f"{seconds // size} {name}"
    return f"{max(seconds, 0)} s"


# --- Its measurements ---


def _registers(given: Given) -> tuple[Register, ...]:
    """Those that somebody asks for, and others that are not zero."""
    statement = given.judgement.statement
    if statement is None:
        return ()
    wanted = given.release.measurements.keys() | given.roster.keys()
    names = [name for name, value in statement.measurements.items() if name in wanted or any(value)]
    names += sorted(wanted - statement.measurements.keys())
    return tuple(
        Register(
            name,
            statement.measurements.get(name, b""),
            given.release.measurements.get(name),
            given.roster.get(name),
        )
        for name in names
    )


def _measured(given: Given, registers: tuple[Register, ...]) -> Iterator[Finding]:
    if given.judgement.statement is None:
        return
    release = given.release
    others = [each for each in registers if each.release is not None and each.release != each.measured]
    if others:
        named = "; ".join(f"{each.name} is {_short(each.measured)}, not {_short(each.release)}" for each in others)
        yield Finding("bad", "measurements", f"another image than {release.name}: {named}{_older(given)}")
    else:
        yield Finding("good", "measurements", f"the image is {release.name}: {_and(release.measurements)} are its")
    if not release.as_locked:
        words = f"{release.name} says that it was built with another toolchain than the lock's: rebuilds will differ"
        yield Finding("note", "measurements", words)
    if SIGNED not in release.measurements and any(given.judgement.statement.measurements.get(SIGNED, b"")):
        yield Finding("note", "measurements", f"the image is signed ({SIGNED}), and {release.name} names no signature")
    strangers = [each for each in registers if each.roster is not None and each.roster != each.measured]
    for each in strangers:
        wanted, seen = _short(each.roster), _short(each.measured)
        yield Finding("bad", "roster", f"{each.name}, {each.meaning}, is {seen}; the roster wants {wanted}")
    if given.roster and not strangers:
        yield Finding("good", "roster", f"{_and(given.roster)} are what the roster wants of this signer")


def _older(given: Given) -> str:
    statement, previous = given.judgement.statement, given.previous
    if statement is None or previous is None:
        return ""
    same = all(statement.measurements.get(name) == value for name, value in previous.measurements.items())
    return f". It is the last reviewed one, {previous.name}" if same else ""


def _short(value: bytes | None) -> str:
    return f"{value.hex()[:16]}…" if value else "absent"


def _and(names: Mapping[str, bytes]) -> str:
    *most, last = sorted(names, key=lambda name: (len(name), name))
    return f"{', '.join(most)} and {last}" if most else last


# --- Who built it too ---


def _rebuilt(given: Given) -> Iterator[Finding]:
    release, same = given.release, dict[bytes, str]()
    for file, rebuild in given.rebuilds:
        if isinstance(rebuild, Refusal):
            yield Finding("bad", "rebuilds", f"{file}: {rebuild.reason}")
            continue
        builder = given.builders.get(rebuild.builder)
        if builder is None:
            yield Finding("note", "rebuilds", f"{file}: of key {rebuild.builder.hex()[:16]}…, whom nobody here knows")
        elif rebuild.measurements == release.rebuilt:
            same[rebuild.builder] = f"{builder} ({show_time(rebuild.built)[:10]}, from {rebuild.sources})"
        elif rebuild.release == release.name:
            yield Finding("bad", "rebuilds", f"{builder} rebuilt {release.name} and got another image")
        else:
            yield Finding("note", "rebuilds", f"{file}: {builder} speaks of {rebuild.release}, another release")
    who = "; ".join(same.values())
    if len(same) < given.needed:
        words = f"{len(same)} of the {given.needed} wanted rebuilt {release.name} and got {_and(release.rebuilt)}"
        yield Finding("bad", "rebuilds", f"{words}: {who or 'nobody'}")
    elif same:
        yield Finding("good", "rebuilds", f"got the same {_and(release.rebuilt)}: {who}")
    else:
        yield Finding("note", "rebuilds", f"nobody known has rebuilt {release.name}: what is in it is its maker's word")


# --- What changed ---


def _changes(given: Given) -> tuple[Change, ...]:
    if given.packages is None or given.previous_packages is None:
        return ()
    return changes(given.previous_packages, given.packages)


def _changed(given: Given, changed: tuple[Change, ...]) -> Iterator[Finding]:
    release, previous = given.release, given.previous
    if previous is None:
        yield Finding("note", "changes", "no release reviewed before was named: nothing to compare with")
        return
    if all(release.measurements[name] == previous.measurements[name] for name in IMAGE):
        yield Finding("good", "changes", f"the same image as {previous.name}, bit for bit")
    for name in sorted(release.facts.keys() | previous.facts.keys()):
        before, after = previous.facts.get(name, "nothing"), release.facts.get(name, "nothing")
        if before != after:
            yield Finding("note", "changes", f"{name}: {_brief(before)} → {_brief(after)}")
    yield from _packages(given, changed)


def _brief(fact: str) -> str:
    """Of a digest, which no person compares here, its beginning."""
    return f"{fact[:16]}…" if len(fact) >= 64 and set(fact) <= set("0123456789abcdef") else fact


def _packages(given: Given, changed: tuple[Change, ...]) -> Iterator[Finding]:
    if given.packages is None or given.previous_packages is None:
        yield Finding("note", "packages", "a list of packages is missing for one of the two releases")
        return
    quiet = [each.name for each in changed if each.same_version]
    if quiet:
        yield Finding(
            "note",
            "packages",
            f"another content under the same version, ask why: {', '.join(quiet[:8])}",
        )
    previous = given.previous
    if changed and previous is not None and previous.rebuilt == given.release.rebuilt:
        yield Finding(
            "note", "packages", "the image is the same and the lists are not: one of them is of another image"
        )
    new, gone = sum(not each.before for each in changed), sum(not each.after for each in changed)
    words = f"of {count(given.packages)}: {new} new, {gone} gone, {len(changed) - new - gone} changed"
    yield Finding("note" if changed else "good", "packages", words)
