"""What a program must keep to that a parent instance runs."""

from __future__ import annotations

import ast
import sys
from pathlib import Path


def require_parents_python(program: Path) -> None:
    """Amazon Linux 2023 has 3.9, and nothing of ours is installed there."""
    tree = ast.parse(program.read_text(), feature_version=(3, 9))
    modules = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    modules |= {node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    assert {module.partition(".")[0] for module in modules} <= set(sys.stdlib_module_names)
