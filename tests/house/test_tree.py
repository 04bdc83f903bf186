"""Nothing of one machine, and no registry, is written down anywhere."""

import re
import tomllib
from pathlib import Path

# A bar in each, so that this file passes its own test.
MACHINE_PATHS = [word.replace("|", "") for word in ("/wo|rk/", "/ro|ot/", "/ho|me/", "/Us|ers/", "C:\\Us|ers")]
EXAMPLE = "/ho|me/user/".replace("|", "")
REGISTRY_HOSTS = [
    word.replace("|", "")
    for word in (
        "py|pi.org",
        "pythonhosted|.org",
        "registry.npm|js.org",
        "repo1.maven|.org",
        "repo.maven.apache|.org",
        "proxy.golang|.org",
        "crates|.io",
        "deb.debian|.org",
    )
]
LOCKS = ("requirements.lock", "requirements.runtime.lock", "requirements.build.lock")


def test_no_file_names_a_path_of_one_machine(root: Path, files: list[Path]) -> None:
    """The home of nobody in particular is an example."""
    assert _named(root, files, MACHINE_PATHS) == []


def test_no_file_names_a_registry_host(root: Path, files: list[Path]) -> None:
    assert _named(root, files, REGISTRY_HOSTS) == []


def _named(root: Path, files: list[Path], words: list[str]) -> list[str]:
    found = []
    for path in files:
        text = path.read_bytes().decode("utf-8", "replace").replace(EXAMPLE, "")
        found += [f"{path.relative_to(root)}: {word}" for word in words if word in text]
    return found


def test_locks_pin_every_package_by_hash_and_name_no_index(root: Path) -> None:
    for name in LOCKS:
        text = (root / name).read_text()
        assert not re.search(r"^\s*(-i |--(extra-)?index-url|--find-links|--trusted-host)", text, re.MULTILINE)
        packages = re.split(r"^(?=[a-z0-9])", text, flags=re.MULTILINE)[1:]
        assert [package.split()[0] for package in packages if "==" not in package or "--hash=sha256:" not in package] == []


def test_runtime_and_build_locks_hold_the_versions_that_are_tested(root: Path) -> None:
    whole = _versions(root / "requirements.lock")
    for name in ("requirements.runtime.lock", "requirements.build.lock"):
        assert _versions(root / name).items() <= whole.items(), name


def _versions(lock: Path) -> dict[str, str]:
    return dict(re.findall(r"^([a-z0-9][\w.-]*)==(\S+)", lock.read_text(), re.MULTILINE))


def test_locks_hold_everything_that_is_declared(root: Path) -> None:
    """Otherwise somebody changed pyproject.toml and forgot `make lock`."""
    project = tomllib.loads((root / "pyproject.toml").read_text())["project"]
    base = {_name(requirement) for requirement in project["dependencies"]}
    extras = {_name(requirement) for part in project["optional-dependencies"].values() for requirement in part}
    assert base <= _versions(root / "requirements.runtime.lock").keys()
    assert base | extras <= _versions(root / "requirements.lock").keys()


def _name(requirement: str) -> str:
    return re.split(r"[^\w.-]", requirement)[0].lower()
