"""The documents say what is: links lead somewhere, commands exist, generated pages are fresh."""

import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest
import typer
import yaml

from dujiang.cli.app import app
from dujiang.settings import Settings, rows, variable_of

LINK = re.compile(r"(?<!!)\[[^\]]*\]\(([^)\s]+)\)")
HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)
FENCE = re.compile(r"^```(\w*)\n(.*?)^```", re.MULTILINE | re.DOTALL)
INLINE_COMMAND = re.compile(r"`((?:dujiang|make) [^`]*)`")
DOCUMENT = re.compile(r"(?<![\w/])docs/(?:adr|explanation|how-to|reference|runbook|tutorial)/[\w-]+")
VARIABLE = re.compile(r"\bDUJIANG_[A-Z_]+\b")


def test_generated_pages_are_fresh(root: Path) -> None:
    result = subprocess.run([sys.executable, "docs/generate.py", "--check"], cwd=root, capture_output=True, text=True)
    assert (result.returncode, result.stderr) == (0, "")


def test_relative_links_lead_to_files_and_headings(root: Path, pages: list[Path]) -> None:
    broken = [
        f"{page.relative_to(root)}: {target}"
        for page in pages
        for target in LINK.findall(_without_code(page.read_text()))
        if not re.match(r"[a-z]+:", target) and not _resolves(page, unquote(target))
    ]
    assert broken == []


def _resolves(page: Path, target: str) -> bool:
    name, _, anchor = target.partition("#")
    path = (page.parent / name) if name else page
    return path.exists() and (not anchor or anchor in _anchors(path))


def _anchors(path: Path) -> set[str]:
    """As GitHub makes them: lower case, spaces to hyphens, all but letters, digits, hyphens and underscores left out."""
    titles = HEADING.findall(_without_code(path.read_text(), inline=False))
    return {re.sub(r"[^\w\- ]", "", title.replace("`", "").lower()).replace(" ", "-") for title in titles}


def _without_code(text: str, *, inline: bool = True) -> str:
    text = FENCE.sub("", text)
    return re.sub(r"`[^`\n]*`", "", text) if inline else text


def test_every_decision_record_is_listed_and_has_its_four_parts(root: Path) -> None:
    folder = root / "docs" / "adr"
    index = (folder / "README.md").read_text()
    for record in sorted(folder.glob("[0-9]*.md")):
        assert f"({record.name})" in index
        assert HEADING.findall(record.read_text())[1:] == ["Context", "Choice", "Price", "What would change our mind"]


def test_documents_that_the_code_names_exist(root: Path, files: list[Path]) -> None:
    code = [path for path in files if path.suffix in (".py", ".toml", ".yml") or path.name in ("Makefile", "Dockerfile")]
    named = {(path, name) for path in code if "house" not in path.parts for name in DOCUMENT.findall(path.read_text())}
    assert [f"{path.name}: {name}" for path, name in sorted(named) if not _document_exists(root, name)] == []


def _document_exists(root: Path, name: str) -> bool:
    """`docs/adr/0002` means the record of that number."""
    return (root / f"{name}.md").exists() or any((root / name).parent.glob(f"{Path(name).name}-*.md"))


def test_commands_in_documents_exist(root: Path, pages: list[Path]) -> None:
    wrong = [
        f"{page.relative_to(root)}: {command}"
        for page in pages
        for command in _commands_in(page.read_text())
        if not _is_known(root, command)
    ]
    assert wrong == []


def _commands_in(text: str) -> Iterator[str]:
    yield from INLINE_COMMAND.findall(_without_code(text, inline=False))
    for language, block in FENCE.findall(text):
        if language in ("sh", "bash", "console"):
            for line in block.replace("\\\n", " ").splitlines():
                words = line.split("#")[0].removeprefix("$ ").split("|")[0].strip()
                if words.startswith(("dujiang ", "make ", ".venv/bin/dujiang ")):
                    yield words.removeprefix(".venv/bin/")


def _is_known(root: Path, command: str) -> bool:
    program, *words = shlex.split(command)
    if program == "make":
        targets = set(re.findall(r"^([a-z-]+):", (root / "Makefile").read_text(), re.MULTILINE))
        return all(word in targets for word in words if "=" not in word)
    found = _cli()
    while words and hasattr(found, "commands"):
        word = words.pop(0)
        if word.startswith("-") or word in ("COMMAND", "…"):
            break
        if word not in found.commands:
            return False
        found = found.commands[word]
    names = {name for param in getattr(found, "params", []) for name in (*param.opts, *param.secondary_opts)} | {"--help"}
    return all(word.partition("=")[0] in names for word in words if word.startswith("--"))


@cache
def _cli() -> Any:
    return typer.main.get_command(app)


def test_settings_in_documents_and_remedies_exist(root: Path, files: list[Path]) -> None:
    known = {variable_of(row["setting"]) for row in rows(Settings())}
    known |= {"DUJIANG_SHARED", "DUJIANG_FAILPOINT"}  # of the tests
    texts = [
        path
        for path in files
        if path.suffix in (".md", ".yml")
        or path.name == "Dockerfile"
        or (path.suffix == ".py" and root / "tests" not in path.parents)
    ]
    named = {(path, name) for path in texts for name in VARIABLE.findall(path.read_text())}
    wrong = [(path, name) for path, name in named if not any(one == name or one.startswith(f"{name}__") for one in known)]
    assert wrong == []


@pytest.mark.parametrize("language", ["json", "yaml"])
def test_code_blocks_of_data_can_be_parsed(root: Path, pages: list[Path], language: str) -> None:
    for page in pages:
        for found, block in FENCE.findall(page.read_text()):
            if found == language:
                assert yaml.safe_load(block) is not None, page.relative_to(root)
