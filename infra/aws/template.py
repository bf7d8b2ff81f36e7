"""As much of CloudFormation as rendering a key's policy takes: parameters, conditions, Ref, Fn::Sub, Fn::If.

What it does not know it refuses; a template is checked as a whole by cfn-lint (`make aws`).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import yaml

from strongroom.errors import Refusal

FOLDER: Final = Path(__file__).resolve().parent
NOTHING: Final = object()
"""What AWS::NoValue leaves in a list: no member."""

_NAMED: Final = re.compile(r"\$\{([A-Za-z0-9:.]+)\}")


class Template:
    """A template's file with values for its parameters. pseudo: such as AWS::AccountId."""

    def __init__(self, name: str, parameters: Mapping[str, str], pseudo: Mapping[str, str]) -> None:
        self._document: dict[str, Any] = yaml.safe_load((FOLDER / name).read_text())
        self._values = dict(pseudo) | self._filled(parameters)

    def _filled(self, given: Mapping[str, str]) -> dict[str, str]:
        declared = self._document["Parameters"]
        if unknown := given.keys() - declared.keys():
            raise _wrong(f"has no parameter {', '.join(sorted(unknown))}")
        values = {}
        for name, declaration in declared.items():
            value = given.get(name, declaration.get("Default"))
            if value is None:
                raise _wrong(f"wants a value for {name}")
            if re.fullmatch(declaration.get("AllowedPattern", ".*"), value) is None:
                raise _wrong(f"takes no {name} such as {value[:40]}")
            if value not in declaration.get("AllowedValues", [value]):
                raise _wrong(f"takes no {name} such as {value[:40]}")
            values[name] = value
        return values

    def property(self, resource: str, name: str) -> Any:
        return self.render(self._document["Resources"][resource]["Properties"][name])

    def render(self, value: Any) -> Any:
        if isinstance(value, list):
            return [each for each in map(self.render, value) if each is not NOTHING]
        if not isinstance(value, dict):
            return value
        if len(value) == 1:
            [(name, argument)] = value.items()
            if name == "Ref":
                return NOTHING if argument == "AWS::NoValue" else self._named(argument)
            if name == "Fn::Sub":
                return _NAMED.sub(lambda found: self._named(found[1]), argument)
            if name == "Fn::If":
                return self.render(
                    argument[1] if self._holds(self._document["Conditions"][argument[0]]) else argument[2]
                )
            if name.startswith("Fn::"):
                raise _wrong(f"uses {name}, which is not rendered here")
        return {key: self.render(inner) for key, inner in value.items()}

    def _named(self, name: str) -> str:
        if name not in self._values:
            raise _wrong(f"refers to {name}, which has no value here")
        return self._values[name]

    def _holds(self, condition: dict[str, Any]) -> bool:
        [(name, argument)] = condition.items()
        if name == "Fn::Not":
            return not self._holds(argument[0])
        if name == "Fn::Equals":
            return bool(self.render(argument[0]) == self.render(argument[1]))
        raise _wrong(f"has a condition {name}, which is not rendered here")


def _wrong(reason: str) -> Refusal:
    return Refusal("bad_file", f"the template {reason}")
