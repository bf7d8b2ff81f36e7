"""The table of codes, and every place in this repository that takes one out of it."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from strongroom import schemes
from strongroom.errors import CODES, Refusal

ROOT = Path(__file__).resolve().parents[2]
DISTRIBUTIONS = ("strongroom", "enclave", "hsm", "host", "client", "simulator", "demo", "benchmarks")
BUILDERS = frozenset({"Refusal"})


def sources() -> Iterator[tuple[str, ast.Module]]:
    for distribution in DISTRIBUTIONS:
        for path in sorted((ROOT / distribution).rglob("*.py")):
            yield str(path.relative_to(ROOT)), ast.parse(path.read_text())


def texts(node: ast.expr, names: dict[str, set[str]]) -> set[str]:
    """The strings that an expression may be, as far as they stand in the source."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return {node.value}
    if isinstance(node, ast.IfExp):
        return texts(node.body, names) | texts(node.orelse, names)
    if isinstance(node, ast.Name):
        return names.get(node.id, set())
    return set()


def codes_of(tree: ast.Module) -> Iterator[tuple[int, str]]:
    functions = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]
    for scope in [*functions, tree]:
        names: dict[str, set[str]] = {}
        for node in ast.walk(scope):
            if isinstance(node, ast.Assign) and len(node.targets) == 1 and isinstance(node.targets[0], ast.Name):
                names.setdefault(node.targets[0].id, set()).update(texts(node.value, {}))
        for node in ast.walk(scope):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in BUILDERS:
                given = node.args[:1] or [each.value for each in node.keywords if each.arg == "code"]
                yield from ((node.lineno, code) for each in given for code in texts(each, names))


def test_every_code_in_the_repository_is_in_the_table() -> None:
    used = {(path, line, code) for path, tree in sources() for line, code in codes_of(tree)}
    assert len(used) > 200
    assert not {(path, line, code) for path, line, code in used if code not in CODES}


def test_the_scan_sees_what_it_looks_for() -> None:
    source = """
def f(x):
    code = "one" if x else "two"
    raise Refusal(code, "why") from None
raise Refusal("three", "why")
raise Refusal(code="four", reason="why")
"""
    assert {code for _, code in codes_of(ast.parse(source))} == {"one", "two", "three", "four"}


def native_codes() -> set[str]:
    """The stable codes of the native module's error enum."""
    source = (ROOT / "native/src/error.rs").read_text()
    [body] = re.findall(r"fn code\(&self\).*?\n    }\n", source, re.DOTALL)
    return set(re.findall(r'=> "(\w+)"', body))


class Native:
    """In the shape of `strongroom_native.NativeError`, which only the native module can make."""

    def __init__(self, code: str) -> None:
        self.code, self.reason, self.verdict, self.culprits = code, "why", None, ()


@pytest.mark.parametrize("code", sorted(native_codes()))
def test_every_native_code_becomes_one_of_the_table(code: str) -> None:
    refusal = schemes.native_refusal(Native(code), {})  # type: ignore[arg-type]
    assert (refusal.code, refusal.reason) == (code, "why")


@pytest.mark.parametrize("code", sorted(CODES))
def test_a_remedy_is_a_sentence_and_a_code_a_word(code: str) -> None:
    remedy = CODES[code].remedy
    assert re.fullmatch(r"[a-z]+(_[a-z]+)*", code)
    assert re.fullmatch(r"[A-Z][^\n]{10,}\.", remedy)
    assert "  " not in remedy and len(remedy.split()) >= 3


def test_a_refusal_says_all_three_things() -> None:
    refusal = Refusal("ceremony_limit", "64 are in flight")
    assert str(refusal) == "ceremony_limit: 64 are in flight"
    assert (refusal.kind, refusal.retryable, refusal.remedy) == ("busy", True, CODES["ceremony_limit"].remedy)
    assert (refusal.culprits, refusal.verdict, refusal.proof) == ((), None, None)


def test_only_what_passes_by_itself_is_tried_again() -> None:
    assert {code.kind for code in CODES.values() if code.retryable} == {"busy", "unavailable"}
    assert not any(code.retryable for code in CODES.values() if code.kind not in ("busy", "unavailable"))
    never = ("intent_expired", "request_conflict", "outcome_unknown", "pin_incorrect", "internal", "split_view")
    assert not any(CODES[code].retryable for code in never)
