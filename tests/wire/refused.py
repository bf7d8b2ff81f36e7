"""What every test of a refusal says: the call, and the code that it must be refused with."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from strongroom.errors import Refusal


def refused(code: str, call: Callable[..., object], *arguments: Any, **named: Any) -> Refusal:
    """The Refusal, for more questions. Its code must be `code`."""
    with pytest.raises(Refusal) as caught:
        call(*arguments, **named)
    assert caught.value.code == code, caught.value
    return caught.value
