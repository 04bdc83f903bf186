"""A real browser on a real console: the distribution's Chromium, whose every error and every request is watched."""

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from tests.console.bureau import PASSWORD, Bureau, founded

BROWSERS = ("chromium", "chromium-browser", "google-chrome")
WAIT_MS = 15_000

Enter = Callable[..., Page]


@pytest.fixture(scope="module")
def bureau(services: Any, registry: Any) -> Iterator[Bureau]:
    with founded(services, registry) as found:
        yield found


@pytest.fixture(scope="session")
def chromium() -> str:
    found = next(filter(None, map(shutil.which, BROWSERS)), None)
    if found is None:
        pytest.skip(f"no browser: none of {', '.join(BROWSERS)} is on the PATH; on Debian `apt-get install chromium`")
    return found


@pytest.fixture(scope="module")
def browser(chromium: str) -> Iterator[Browser]:
    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        yield running
        running.close()


@pytest.fixture
def enter(bureau: Bureau, browser: Browser) -> Iterator[Enter]:
    """`enter("steward", "/alerts")`: signed in, at a page. Ends with: no error in the browser, no request to elsewhere."""
    contexts, troubles = [], []

    def sign_in(user: str, path: str = "/", *, language: str = "en", script: str = "", **options: Any) -> Page:
        context = browser.new_context(locale=language, **options)
        context.add_init_script(script)  # before those of the page itself
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(WAIT_MS)
        watch(page, bureau.url, troubles)
        page.goto(f"{bureau.url}/sign-in?next={quote(f'/console{path}', safe='')}")
        page.fill("input[name=name]", user)
        page.fill("input[name=password]", PASSWORD)
        page.click("button[type=submit]")
        page.wait_for_selector("#main h1, #main .notice")
        return page

    yield sign_in
    for context in contexts:
        context.close()
    assert troubles == []


def watch(page: Page, url: str, troubles: list[str]) -> None:
    """Errors of scripts and requests that leave the host are troubles."""
    ours = urlsplit(url).netloc
    page.on("console", lambda said: troubles.append(f"console: {said.text}") if said.type == "error" else None)
    page.on("pageerror", lambda error: troubles.append(f"script: {error}"))
    page.on(
        "request",
        lambda request: (
            troubles.append(f"leaves the host: {request.url}")
            if urlsplit(request.url).scheme not in {"data", "blob"} and urlsplit(request.url).netloc != ours
            else None
        ),
    )


@pytest.fixture(scope="session")
def axe(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """axe-core, fetched by npm into a temporary folder; never part of the project."""
    npm = shutil.which("npm")
    if npm is None:
        pytest.skip("no npm to fetch axe-core with; accessibility is not checked")
    folder = tmp_path_factory.mktemp("axe")
    fetched = subprocess.run(
        [npm, "pack", "axe-core@4", "--silent"], cwd=folder, capture_output=True, timeout=60, check=False, env=dict(os.environ)
    )
    packed = next(folder.glob("axe-core-*.tgz"), None)
    if packed is None:
        pytest.skip(f"npm could not fetch axe-core (status {fetched.returncode}); accessibility is not checked")
    shutil.unpack_archive(packed, folder, filter="data")
    return folder / "package" / "axe.min.js"
