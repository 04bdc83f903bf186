"""The clients as packages: one version, whole, typed, and with READMEs whose code is true."""

import json
import re
import shutil
import subprocess
import tomllib
from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree

import pytest
from dujiang_client import __version__

from tests.clients.drivers import JAVA, JAVASCRIPT, Driver, compiled
from tests.conftest import ROOT

MAVEN = {"": "http://maven.apache.org/POM/4.0.0"}


def blocks(readme: Path, language: str) -> list[str]:
    found = re.findall(rf"^```{language}\n(.*?)^```", readme.read_text(), re.MULTILINE | re.DOTALL)
    assert found != []
    return [str(one) for one in found]


def test_all_have_one_version() -> None:
    python = tomllib.loads((ROOT / "clients" / "python" / "pyproject.toml").read_text())["project"]["version"]
    javascript = json.loads((JAVASCRIPT / "package.json").read_text())["version"]
    java_version = ElementTree.parse(JAVA / "pom.xml").findtext("version", namespaces=MAVEN)  # noqa: S314 - our own
    assert {__version__, javascript, java_version} == {python}


def test_java_readme_names_the_version_to_depend_on() -> None:
    assert f"dujiang:dujiang-client:{__version__}" in (JAVA / "README.md").read_text()


class TestJavaScript:
    def test_package_holds_its_sources_its_types_and_its_words(self) -> None:
        if shutil.which("npm") is None:
            pytest.skip("no npm on this machine, so the package cannot be packed")
        command = ["npm", "pack", "--dry-run", "--json", "--offline"]
        done = subprocess.run(command, cwd=JAVASCRIPT, capture_output=True, text=True, timeout=60, check=True)
        held = {one["path"] for one in json.loads(done.stdout)[0]["files"]}
        sources = {f"src/{path.name}" for path in (JAVASCRIPT / "src").iterdir()}
        assert held == sources | {"package.json", "README.md", "index.d.ts"}

    def test_types_name_what_the_module_exports(self) -> None:
        if shutil.which("node") is None:
            pytest.skip("no node on this machine, so the module cannot be asked for its names")
        script = "import * as all from './src/index.js'; console.log(Object.keys(all).join(' '))"
        command = ["node", "--input-type=module", "-e", script]
        names = subprocess.run(command, cwd=JAVASCRIPT, capture_output=True, text=True, timeout=60, check=True).stdout.split()
        typed = re.findall(r"^export (?:class|function|const) (\w+)", (JAVASCRIPT / "index.d.ts").read_text(), re.MULTILINE)
        assert sorted(typed) == sorted(names)

    def test_code_of_the_readme_is_typed(self, tmp_path: Path, npm: Callable[[str, str], Path]) -> None:
        """By TypeScript, strictly: so the README keeps to index.d.ts."""
        tsc = npm("typescript", "5.9.3") / "node_modules" / "typescript" / "bin" / "tsc"
        (tmp_path / "node_modules").mkdir()
        shutil.copytree(JAVASCRIPT, tmp_path / "node_modules" / "dujiang-client")
        code = "\n".join(blocks(JAVASCRIPT / "README.md", "js"))
        imports = 'import { Client, Event } from "dujiang-client";'
        assert imports in code
        (tmp_path / "package.json").write_text('{"type": "module"}')
        (tmp_path / "readme.ts").write_text(README_TS + code.replace(imports, ""))
        options = {"strict": True, "noEmit": True, "module": "nodenext", "target": "es2022", "types": []}
        (tmp_path / "tsconfig.json").write_text(json.dumps({"compilerOptions": options, "files": ["readme.ts"]}))
        done = subprocess.run(["node", str(tsc)], cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False)
        assert (done.returncode, done.stdout) == (0, "")


README_TS = """
import {
  Accepted, Client, Event, Refused, Signer, verify, type Fault, type Members, type Receipt,
} from "dujiang-client";
declare const event: Event, events: Event[], subscription: string, body: Uint8Array, seen: Set<string>;
declare const request: { headers: Record<string, string | string[] | undefined> };
declare const console: { error(...words: string[]): void };
declare function readFileSync(path: string): Uint8Array;
declare function done(receipt: Receipt): void;
declare function later(event: Members): void;
declare function mend(event: Members, faults: readonly Fault[]): void;
declare function handle(event: Members): void;
declare function storedCursor(): string | null;
declare function storeCursor(cursor: string): void;
"""


@pytest.mark.parametrize("driver", ["java"], indirect=True)
def test_code_of_the_java_readme_compiles(driver: Driver) -> None:
    code = enumerate(blocks(JAVA / "README.md", "java"))
    methods = "".join(f"void block{index}() throws Exception {{\n{one}}}\n" for index, one in code)
    source = driver.folder / "Readme.java"
    source.write_text(f"{README_JAVA}{methods}}}\n")
    compiled(driver.folder, source)


README_JAVA = """
import dujiang.client.*;
import java.nio.file.*;
import java.util.*;
abstract class Readme {
    Client client;
    Event event;
    List<Event> events;
    byte[] body;
    Map<String, List<String>> headers;
    Set<String> seen;
    String subscription;
    abstract void done(Receipt receipt);
    abstract void later(Event event);
    abstract void mend(Event event, List<Problem.Fault> faults);
    abstract void log(String reason, String pointer, String detail);
    abstract void handle(Event event);
    abstract String storedCursor();
    abstract void storeCursor(String cursor);
"""
