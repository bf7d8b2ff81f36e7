"""Reads a policy file. Whatever it leaves out is denied, unlimited nowhere, and the default where there is one."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, TypeVar

from strongroom.approval.approver import Approver, Key, Passkey
from strongroom.approval.demand import Demand
from strongroom.errors import Refusal
from strongroom.policy.document import LEASE, MAX_DOCUMENT, Fee, Policy
from strongroom.policy.lists import Entry, Recipients
from strongroom.policy.rules import Rule, parse_kind
from strongroom.policy.terms import DAYS, Bound, Domain, Hours, Method, Source, Tier, Window
from strongroom.wire import cbor
from strongroom_client import documents
from strongroom_client.documents import Document
from strongroom_client.policies import units

T = TypeVar("T")

ANYONE: Final = "anyone"
ANY: Final = "any"
_PART: Final = re.compile(r"([1-8]) of ([a-z0-9-]{1,32})")


def load(path: Path, now: int) -> Policy:
    """now: Unix seconds, for `issued` where the file does not say. Raises Refusal `bad_file` or `malformed_policy`."""
    return read(documents.read(path), now, path.parent)


def read(source: Document, now: int, folder: Path) -> Policy:
    """folder: where the files of long lists are named from."""
    policy = Policy(
        issued=_optional(source, "issued", units.moment, now),
        requesters=tuple(sorted(source.items("requesters", lambda key: source.hexadecimal(key, "requesters", 32)))),
        chains=_texts(source, "chains"),
        rules=_many(source, "rules", _rule),
        lists=_lists(source, folder),
        deny=_texts(source, "deny"),
        fees=tuple(sorted(_many(source, "fees", _fee), key=lambda fee: fee.asset)),
        windows=_many(source, "windows", lambda window: _window(window, None)),
        approvers=tuple(sorted(_many(source, "approvers", _approver), key=lambda approver: approver.name)),
        wallet=_optional(source, "wallet", lambda value: source.hexadecimal(value, "wallet", 32), None),
        version=_optional(source, "version", _integer, 1),
        previous=_optional(source, "previous", lambda value: source.hexadecimal(value, "previous", 32), None),
        lease=_optional(source, "lease", units.duration, LEASE),
        expires=_optional(source, "expires", units.moment, None),
        timelock=_optional(source, "timelock", units.duration, 0),
        frozen=source.flag("frozen") if source.has("frozen") else False,
        freezers=_optional(source, "freezers", _integer, 1),
    )
    source.end()
    size = len(cbor.encode(policy.value()))
    if size > MAX_DOCUMENT:
        raise source.wrong(f"makes a policy of {size} bytes, over {MAX_DOCUMENT}: give its longest list as a file")
    return policy


def _lists(source: Document, folder: Path) -> tuple[Recipients, ...]:
    if not source.has("lists"):
        return ()
    named = source.take("lists")
    if not isinstance(named, dict):
        raise source.wrong("has lists that are not an object of names")
    return tuple(_list(name, named[name], source, folder) for name in sorted(named))


def _list(name: str, value: Any, source: Document, folder: Path) -> Recipients:
    if isinstance(value, list):
        return Recipients(name, tuple(sorted(_entry(Document(each, f"list {name}: an entry")) for each in value)))
    kept = Document(value, f"list {name}")
    if kept.has("file"):
        entries = load_entries(folder / kept.text("file"))
        kept.end()
        return Recipients.rooted(name, entries)
    found = Recipients(name, (), kept.blob("root", 32), kept.integer("size"))
    kept.end()
    return found


def load_entries(path: Path) -> tuple[Entry, ...]:
    """A long list's own file: `{"entries": [{"address", "label", "since"}]}`."""
    source = documents.read(path)
    entries = source.items("entries", lambda each: _entry(Document(each, f"{path}: an entry")))
    source.end()
    return entries


def _entry(source: Document) -> Entry:
    entry = Entry(
        units.address(source.take("address")), source.text("label"), _optional(source, "since", units.moment, 0)
    )
    source.end()
    return entry


def _rule(source: Document) -> Rule:
    name, kind = source.text("name"), parse_kind(source.text("kind"))
    assets, chains = _texts(source, "assets"), _texts(source, "chains")
    priced = assets or tuple(f"{chain}/native" for chain in chains)
    asset = priced[0] if len(priced) == 1 else None
    rule = Rule(
        name,
        kind,
        assets,
        _to(source),
        chains,
        _many(source, "methods", _method),
        _many(source, "domains", _domain),
        _most(source, asset),
        _many(source, "windows", lambda window: _window(window, asset)),
        _many(source, "hours", _hours),
        _optional(source, "cooldown", units.duration, 0),
        _source(source.inner("source")) if source.has("source") else None,
        _many(source, "tiers", lambda tier: _tier(tier, asset)),
    )
    source.end()
    return rule


def _to(source: Document) -> tuple[str, ...] | None:
    if not source.has("to"):
        return ()
    value = source.take("to")
    if value == ANYONE:
        return None
    return tuple(sorted(_text(each) for each in value)) if isinstance(value, list) else (_text(value),)


def _most(source: Document, asset: str | None) -> int | None:
    value = source.take("most") if source.has("most") else "0"
    return None if value == ANY else units.amount(value, asset)


def _window(source: Document, asset: str | None) -> Window:
    named = _optional(source, "asset", _text, None)
    each = _optional(source, "each", _text, "")
    if each not in ("", "destination"):
        raise source.wrong('has an each that is not "destination"')
    window = Window(
        units.duration(source.take("within")),
        _optional(source, "amount", lambda value: units.amount(value, named or asset), None),
        _optional(source, "count", _integer, None),
        each == "destination",
        named,
    )
    source.end()
    return window


def _hours(source: Document) -> Hours:
    days = source.items("days", _text)
    if not set(days) <= set(DAYS):
        raise source.wrong(f"has days that are not among {', '.join(DAYS)}")
    hours = Hours(
        tuple(sorted(map(DAYS.index, days))),
        units.clock(source.take("from")),
        units.clock(source.take("to")),
        _optional(source, "offset", units.offset, 0),
    )
    source.end()
    return hours


def _method(source: Document) -> Method:
    contract, method = units.address(source.take("contract")), source.text("method")
    read_method = Method(contract, method, _many(source, "arguments", _bound))
    source.end()
    return read_method


def _bound(source: Document) -> Bound:
    """An EVM argument by its number, a Solana account by its own, or bytes at a place."""
    if source.has("argument"):
        at, size = 32 * source.integer("argument"), 32
    elif source.has("account"):
        at, size = source.integer("account"), 0
    else:
        at, size = source.integer("at"), source.integer("size")
    bound = Bound(
        at,
        size,
        _optional(source, "least", units.amount, None),
        _optional(source, "most", units.amount, None),
        _to(source) or None,
        source.flag("little") if source.has("little") else False,
    )
    source.end()
    return bound


def _domain(source: Document) -> Domain:
    domain = Domain(_optional(source, "contract", units.address, None), _optional(source, "type", _text, None))
    source.end()
    return domain


def _tier(source: Document, asset: str | None) -> Tier:
    above = _optional(source, "above", lambda value: units.amount(value, asset), None)
    tier = Tier(above, source.items("demands", demand))
    source.end()
    return tier


def demand(value: Any) -> Demand:
    """`"2 of treasury and 1 of compliance"`; or an object with that as `of`, and whether the requester may approve."""
    if isinstance(value, dict):
        source = Document(value, "a demand")
        text, own = source.text("of"), source.flag("requester")
        source.end()
    else:
        text, own = _text(value), False
    parts = [_PART.fullmatch(part) for part in text.split(" and ")]
    if not all(parts):
        raise Refusal("bad_file", f'{text[:60]!r} is no demand such as "2 of treasury and 1 of compliance"')
    return Demand(tuple(sorted((part[2], int(part[1])) for part in parts if part)), own)


def _source(source: Document) -> Source:
    found = Source(_texts(source, "networks"), _texts(source, "countries"))
    source.end()
    return found


def _fee(source: Document) -> Fee:
    asset = source.text("asset")
    fee = Fee(asset, units.amount(source.take("most"), asset), _optional(source, "permille", _integer, None))
    source.end()
    return fee


def _approver(source: Document) -> Approver:
    passkey = source.take("passkey") if source.has("passkey") else None
    key = source.inner("key")
    approver = Approver(
        source.text("name"),
        source.text("kind"),  # type: ignore[arg-type]  # checked below
        _texts(source, "groups"),
        _optional(source, "weight", _integer, 1),
        Key(key.text("algorithm"), key.blob("public")),  # type: ignore[arg-type]
        None if passkey is None else _passkey(Document(passkey, "a passkey")),
        tuple(sorted(_many_values(source, "requests_as", lambda value: source.hexadecimal(value, "requests_as", 32)))),
    )
    key.end()
    source.end()
    return Approver.parse(approver.value())


def _passkey(source: Document) -> Passkey:
    passkey = Passkey(source.text("rp"), _texts(source, "origins"), source.blob("credential"))
    source.end()
    return passkey


# --- Fields ---


def _optional(source: Document, key: str, read_one: Callable[[Any], T], default: Any) -> Any:
    """null counts as absent."""
    value = source.take(key) if source.has(key) else None
    return default if value is None else read_one(value)


def _many(source: Document, key: str, read_one: Callable[[Document], T]) -> tuple[T, ...]:
    return _many_values(source, key, lambda value: read_one(Document(value, f"one of {key}")))


def _many_values(source: Document, key: str, read_one: Callable[[Any], T]) -> tuple[T, ...]:
    return source.items(key, read_one) if source.has(key) else ()


def _texts(source: Document, key: str) -> tuple[str, ...]:
    """In any order in the file."""
    return tuple(sorted(_many_values(source, key, _text)))


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise Refusal("bad_file", f"{str(value)[:40]!r} is not text")
    return value


def _integer(value: Any) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise Refusal("bad_file", f"{str(value)[:40]!r} is not an unsigned integer")
    return value
