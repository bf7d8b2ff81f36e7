"""No decoder is forgotten: a target's seeds reach it, or it says here why nobody but oneself writes its bytes."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
import re
import sys
from collections.abc import Iterator, Mapping
from contextlib import suppress
from types import CodeType, FrameType, FunctionType
from typing import Any, Final

import strongroom
from strongroom.errors import Refusal
from tests.fuzz.targets import TARGETS

DECODER: Final = re.compile(r"(decode|parse|read)(_.+)?")

UNFUZZED: Final[Mapping[str, str]] = {
    "strongroom.signer.settings.Settings.parse": "a file of the program's own machine, read before it serves",
}


def decoders() -> dict[CodeType, str]:
    """Public functions and methods of `strongroom` that read bytes, or what was decoded from bytes."""
    found: dict[CodeType, str] = {}
    for module in pkgutil.walk_packages(strongroom.__path__, "strongroom."):
        for function in functions(importlib.import_module(module.name)):
            if DECODER.fullmatch(function.__name__):
                found[function.__code__] = f"{function.__module__}.{function.__qualname__}"
    return found


def functions(owner: Any) -> Iterator[FunctionType]:
    """Of a module, and of the classes that it defines."""
    name = owner.__name__ if inspect.ismodule(owner) else owner.__module__
    for value in vars(owner).values():
        bare = value.__func__ if isinstance(value, classmethod | staticmethod) else value
        if getattr(bare, "__module__", None) != name:
            continue
        if isinstance(bare, FunctionType):
            yield bare
        elif inspect.isclass(bare):
            yield from functions(bare)


def reached() -> set[CodeType]:
    """What runs while the targets read what they are fed from."""
    seen: set[CodeType] = set()

    def note(frame: FrameType, event: str, _argument: object) -> None:
        if event == "call":
            seen.add(frame.f_code)

    before = sys.getprofile()
    seeds = [(target, seed) for target in TARGETS for seed in target.seeds()]
    sys.setprofile(note)
    try:
        for target, seed in seeds:
            with suppress(Refusal):
                target.read(seed)
    finally:
        sys.setprofile(before)
    return seen


def test_no_decoder_is_forgotten() -> None:
    every, seen = decoders(), reached()
    forgotten = {name for code, name in every.items() if code not in seen}
    assert forgotten == set(UNFUZZED), "give it a target in tests/fuzz, or a reason in UNFUZZED"
    assert len(every) > 2 * len(UNFUZZED) and all(UNFUZZED.values())
