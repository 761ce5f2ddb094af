"""What runs inside a workflow stays light: its modules are imported anew for every instance."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
MAY_IMPORT = {
    "workflows/__init__.py": set[str](),
    "workflows/messages.py": {"__future__", "dataclasses", "datetime", "temporalio.exceptions"},
    "workflows/journey.py": {
        "__future__", "asyncio", "collections.abc", "contextlib", "dataclasses", "datetime", "temporalio",
        "temporalio.common", "temporalio.exceptions", "workflows.messages",
    },
    "workflows/breaker.py": {
        "__future__", "asyncio", "datetime", "temporalio", "temporalio.common", "temporalio.exceptions",
        "workflows.messages",
    },
}  # fmt: skip
CLOCKS = {"now", "utcnow", "today", "time", "monotonic", "sleep", "random", "uuid4"}


def imported(tree: ast.AST) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names.add(node.module or "")
    return names


@pytest.mark.parametrize("module", MAY_IMPORT)
def test_workflow_modules_import_only_what_is_light(module: str) -> None:
    assert imported(ast.parse((ROOT / module).read_text())) <= MAY_IMPORT[module]


@pytest.mark.parametrize("module", MAY_IMPORT)
def test_workflow_modules_ask_only_the_workflow_for_the_time(module: str) -> None:
    calls = [
        ast.unparse(node.func)
        for node in ast.walk(ast.parse((ROOT / module).read_text()))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in CLOCKS
    ]
    assert {call for call in calls if not call.startswith("workflow.")} == set()


def test_nothing_heavy_is_reachable_from_the_workflows() -> None:
    code = (
        "import sys, workflows.journey, workflows.breaker\n"
        "heavy = {'cryptography', 'sqlalchemy', 'pydantic', 'yaml', 'engine', 'plugins', 'jinja2'}\n"
        "print(sorted(heavy & {name.partition('.')[0] for name in sys.modules}))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
