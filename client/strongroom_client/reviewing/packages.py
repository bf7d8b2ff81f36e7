"""What an image is made of, as its CycloneDX list says (ecma-424, JSON), and what changed between two of them.

A package is known by its package URL without version and qualifiers, or by its group and name. The list is the
builder's word: measurements say whether the image is the one that it belongs to, a rebuild says whether it is true.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from strongroom.errors import Refusal
from strongroom_client.reviewing.files import read_object, shown

MAX_LIST: Final = 32 << 20
MAX_PACKAGES: Final = 50_000
MAX_DEPTH: Final = 16


@dataclass(frozen=True)
class Package:
    """hashes: of its content, by algorithm; may be empty."""

    name: str
    version: str
    hashes: Mapping[str, str]


Packages = Mapping[str, tuple[Package, ...]]
"""By identity; a list may have several versions of one package."""


@dataclass(frozen=True)
class Change:
    """before, after: versions, comma-separated; empty where it was not there. same_version: another content under the
    version of before, which no honest update is."""

    name: str
    before: str
    after: str
    same_version: bool = False


def load(path: Path) -> Packages:
    """Raises Refusal `bad_file`."""
    document = read_object(path, MAX_LIST)
    if document.get("bomFormat") != "CycloneDX":
        raise Refusal("bad_file", f"{path} is no list of packages in CycloneDX's JSON")
    found: dict[str, list[Package]] = {}
    for number, (identity, package) in enumerate(_components(document, str(path), 0)):
        if number >= MAX_PACKAGES:
            raise Refusal("bad_file", f"{path} names more than {MAX_PACKAGES} packages")
        found.setdefault(identity, []).append(package)
    return {name: tuple(sorted(each, key=lambda one: one.version)) for name, each in sorted(found.items())}


def count(packages: Packages) -> int:
    return sum(len(each) for each in packages.values())


def changes(before: Packages, after: Packages) -> tuple[Change, ...]:
    """Sorted by name; what did not change is left out."""
    found: list[Change] = []
    for name in sorted(before.keys() | after.keys()):
        old, new = before.get(name, ()), after.get(name, ())
        if _versions(old) != _versions(new):
            found.append(Change(name, _versions(old), _versions(new)))
        elif any(_differ(one, other) for one, other in zip(old, new, strict=True)):
            found.append(Change(name, _versions(old), _versions(new), same_version=True))
    return tuple(found)


def _components(holder: Mapping[str, Any], where: str, depth: int) -> Iterator[tuple[str, Package]]:
    listed = holder.get("components", [])
    if not isinstance(listed, list) or depth > MAX_DEPTH:
        raise Refusal("bad_file", f"{where} has components that are no list, or within each other too deeply")
    for component in listed:
        if not isinstance(component, dict) or not isinstance(component.get("name"), str):
            raise Refusal("bad_file", f"{where} has a component without a name")
        name, version = shown(component["name"]), shown(str(component.get("version", "")))
        yield _identity(component, name), Package(name, version, _hashes(component.get("hashes")))
        yield from _components(component, where, depth + 1)


def _identity(component: Mapping[str, Any], name: str) -> str:
    """Package URLs are `pkg:type/namespace/name@version?qualifiers#subpath`; an @ in front of the name is %40."""
    url = component.get("purl")
    if isinstance(url, str) and url.startswith("pkg:"):
        return shown(url.partition("#")[0].partition("?")[0].partition("@")[0].removeprefix("pkg:"))
    group = component.get("group")
    return shown(f"{group}/{name}" if isinstance(group, str) and group else name)


def _hashes(value: Any) -> dict[str, str]:
    listed = value if isinstance(value, list) else []
    return {
        str(each["alg"]): str(each["content"]).lower()
        for each in listed
        if isinstance(each, dict) and {"alg", "content"} <= each.keys()
    }


def _versions(packages: tuple[Package, ...]) -> str:
    return ", ".join(package.version or "?" for package in packages)


def _differ(one: Package, other: Package) -> bool:
    return any(other.hashes[name] != content for name, content in one.hashes.items() if name in other.hashes)
