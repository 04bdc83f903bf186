"""Make the pictures of docs/console: `python -m tests.console.screenshots`.

Starts a demo on services of its own in a temporary folder, signs in as its user, and takes each page once. Chromium is looked
for on the PATH; a font with Chinese characters must be there for the Chinese pages.
"""

import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote
from uuid import uuid4

import psycopg
from playwright.sync_api import Page, sync_playwright

from dujiang.embedded.services import find_running
from engine.subscriptions import deliveries, register
from engine.subscriptions.deliveries import EndpointHealth
from gateway import partners
from gateway.console.pages.subscriptions import CIRCUIT_FAILURES
from gateway.identity import Partner
from gateway.limits import Allowance
from schemas.subscriptions import Place, Status, Subscription
from tests.console.bureau import settlement, subscribed
from tests.console.conftest import BROWSERS

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "docs" / "console"
READY_S_MAX = 90.0
PLAY_S = 40.0  # until enough has happened to be worth a picture
SETTLE_MS = 2_600
KEEPS_UP = 1_000_000  # no offset of the demo is as high

# name, page or what finds it, language, scheme, width
PICTURES: tuple[tuple[str, str, str, str, int], ...] = (
    ("now", "/", "en", "light", 1280),
    ("now-zh-dark", "/", "zh", "dark", 1280),
    ("projects", "/projects", "en", "light", 1280),
    ("project", "project", "en", "light", 1280),
    ("alerts-zh", "/alerts", "zh", "light", 1280),
    ("alert", "alert", "en", "light", 1280),
    ("quarantine", "/quarantine", "en", "light", 1280),
    ("record", "record", "en", "light", 1280),
    ("way", "way", "en", "light", 1280),
    ("way-out", "/way/out/HTTP", "en", "light", 1280),
    ("topic", "/way/topic/research.project.event", "en", "light", 1280),
    ("step", "/way/step/projects", "en", "light", 1280),
    ("partners", "/partners", "en", "light", 1280),
    ("partner", "/partners/institute-ihr", "en", "light", 1280),
    ("calls", "/calls", "en", "light", 1280),
    ("call", "call", "en", "light", 1280),
    ("subscriptions", "/subscriptions", "en", "light", 1280),
    ("subscription", "subscription", "en", "light", 1280),
    ("subscription-narrow-zh", "subscription", "zh", "light", 360),
    ("works", "works", "en", "light", 1280),
    ("search", "/search?q=KJ-001-0000", "en", "light", 1280),
    ("alert-narrow-zh", "alert", "zh", "light", 360),
)
PARTNERS = {"institute-ihr": "Institute of Hydraulic Research", "enterprise-mec": "Ma'anshan Machine Works"}
# The page of a name. What nobody does in a demo is done at the moment: a deliverer's acknowledgements, a work's sign of life.
FINDS = {
    "way": "UPDATE subscription_attempt a SET started_at = now() FROM subscription s"
    " WHERE s.subscription_id = a.subscription_id AND s.protocol = 'S3' RETURNING '/way', ''",
    "works": "UPDATE work SET beat_at = now() WHERE state = 'running' RETURNING '/works', ''",
    "project": "SELECT '/projects/', project_id FROM project_status WHERE rejected <> '[]'"
    " ORDER BY applied DESC, project_id LIMIT 1",
    "alert": "SELECT '/alerts/', alert_key FROM alert_status WHERE handling = 'open' AND condition = 'firing'"
    " ORDER BY repeats DESC, alert_key LIMIT 1",
    "call": "SELECT '/calls/', call_id FROM call_status ORDER BY applied DESC, call_id LIMIT 1",
    "subscription": "SELECT '/subscriptions/', subscription_id::text FROM subscription WHERE protocol = 'HTTP' LIMIT 1",
    "record": "SELECT '/quarantine/', id::text FROM quarantine WHERE reason = 'data_invalid' ORDER BY id LIMIT 1",
}


def main() -> int:
    browser = next(filter(None, map(shutil.which, BROWSERS)), None)
    if browser is None:
        sys.stderr.write(f"no browser: none of {', '.join(BROWSERS)} is on the PATH\n")
        return 1
    FOLDER.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as data:
        demo = subprocess.Popen(
            [sys.executable, "-m", "dujiang", "demo", "--data", data, "--rate", "60"],
            cwd=ROOT,
            env={**os.environ, "DUJIANG_GATEWAY__PORT": "0", "DUJIANG_CONSOLE__PORT": "0", "DUJIANG_WORKER__HTTP_PORT": "0"},
            stdout=subprocess.PIPE,
            text=True,
        )
        try:
            url, password = _entrance(demo)
            _register(Path(data))
            time.sleep(PLAY_S)
            _take(browser, url, password, lambda name: _found(Path(data), name))
        finally:
            demo.send_signal(signal.SIGINT)
            demo.wait(120)
    return 0


def _entrance(demo: "subprocess.Popen[str]") -> tuple[str, str]:
    assert demo.stdout is not None
    until = time.monotonic() + READY_S_MAX
    for line in demo.stdout:
        match = re.match(r"console +(http\S+)/ +user demo, password (\S+)", line)
        if match:
            return match[1], match[2]
        if time.monotonic() > until:
            break
    raise RuntimeError("the demo named no console")


def _register(data: Path) -> None:
    """The demo's partners come as strangers; two of them get a name here."""
    now = datetime.now(UTC)
    with _connected(data) as connection, connection.cursor() as cursor:
        for partner_id, name in PARTNERS.items():
            sources = (f"/partners/{partner_id}",)
            rights = Partner(partner_id, ("publish:gov.stiib.research.*",), sources, Allowance(100, 5_000, 1_000_000))
            partners.put(cursor, rights, name, "screenshots", replace=True)
            partners.issue(cursor, partner_id, [], now, now + timedelta(days=90), "screenshots")
        _subscribe(cursor, now)
        _remember(cursor)


def _subscribe(cursor: "psycopg.Cursor[Any]", now: datetime) -> None:
    """A webhook and a broker that fare ill, a store that does not, and a replay that goes on."""
    subscribed(cursor, now, "institute-ihr", "enterprise-mec")
    enabled = Status("enabled", "validated", "partner", now, validated_at=now)
    broker, store = (
        Subscription(uuid4(), "enterprise-mec", protocol, enabled, now, now, sink=sink)
        for protocol, sink in (("MQTT5", "mqtts://broker.example.org"), ("S3", "https://store.example.org/bucket/"))
    )
    register.add(cursor, broker, {Place("infra.alert.event", 0): 0})
    register.add(cursor, store, {Place("research.project.state", 0): KEEPS_UP})
    deliveries.note_health(cursor, [EndpointHealth(broker.id, CIRCUIT_FAILURES, now - timedelta(hours=2), now)])
    taken = (settlement(number, Place("research.project.state", 0), now, "acknowledged") for number in range(1, 400))
    deliveries.settle(cursor, [replace(one, subscription_id=store.id) for one in taken])
    cursor.execute(
        "INSERT INTO work (kind, title, started_by, done, total, state, started_at, beat_at, ended_at) VALUES"
        " ('ingest', 'gtr projects_2024-03-01.csv', 'li', 8297, 8297, 'done', now() - interval '9 min', now(), now()),"
        " ('quarantine_replay', 'data_invalid', 'wang', 400, 2029, 'running', now() - interval '1 min',"
        " now(), NULL)"
    )


def _remember(cursor: "psycopg.Cursor[Any]") -> None:
    """Two days that the demo did not see: events by the hour, and alerts that are over."""
    cursor.execute(
        """INSERT INTO source_hour
           SELECT '/partners/' || source, date_trunc('hour', now(), 'UTC') - make_interval(hours => h), outcome, reason, late_s,
                  ceil(mean * (1.1 + sin(h * pi() / 12)) * (0.8 + 0.4 * random()))
           FROM generate_series(1, 47) h, (VALUES
               ('institute-ihr', 'taken', '', 60, 900), ('institute-ihr', 'rejected', 'milestone_unknown', 0, 20),
               ('enterprise-mec', 'taken', '', 300, 500), ('careless-erp', 'quarantined', 'data_invalid', 0, 9),
               ('careless-erp', 'quarantined', 'missing_attribute', 0, 6), ('careless-erp', 'quarantined', 'topic_wrong', 0, 3)
           ) AS each (source, outcome, reason, late_s, mean)"""
    )
    cursor.execute(
        """INSERT INTO alert_status (alert_key, episodes, condition, handling, suppression, severity, title, raised_at,
               last_seen, ended_at, repeats, reopened, changed_by, applied, duplicates, superseded, rejected, seen)
           SELECT 'past/' || n, 1, 'resolved', 'closed', 'none',
                  (ARRAY['info', 'low', 'warning', 'high', 'critical'])[1 + n % 5], 'node-' || n, at, at,
                  at + interval '50 min', 0, 0, '', 1, 0, 0, '[]', ''
           FROM generate_series(1, 3000) n,
                LATERAL (SELECT now() - (60 + n / 2 + 30 * sin(n / 120.0)) * interval '1 min' AS at) AS raised"""
    )


def _connected(data: Path) -> "psycopg.Connection[Any]":
    running = find_running(data)
    assert running is not None, "the demo has ended"
    return psycopg.connect(running.dsn)


def _found(data: Path, name: str) -> str:
    with _connected(data) as connection:
        row = connection.execute(FINDS[name].encode()).fetchone()
    assert row is not None, f"the demo made no {name} to show"
    return f"{row[0]}{quote(row[1], safe='')}"


def _take(browser: str, url: str, password: str, find: Callable[[str], str]) -> None:
    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=browser, args=["--no-sandbox"])
        page = running.new_page()
        page.goto(f"{url}/sign-in")
        page.screenshot(path=FOLDER / "sign-in.png")
        page.fill("input[name=name]", "demo")
        page.fill("input[name=password]", password)
        page.click("button[type=submit]")
        for name, wanted, language, scheme, width in PICTURES:
            _picture(page, url, name, find(wanted) if wanted in FINDS else wanted, language, scheme, width)
        running.close()


def _picture(page: Page, url: str, name: str, path: str, language: str, scheme: str, width: int) -> None:
    for choice, value in (("language", language), ("scheme", scheme)):
        page.goto(f"{url}/prefer/{choice}/{value}?next=/console/sign-in")
    page.set_viewport_size({"width": width, "height": 860})
    page.goto(url + path)
    page.wait_for_selector("#main h1")
    page.wait_for_timeout(SETTLE_MS)
    page.screenshot(path=FOLDER / f"{name}.png")
    sys.stdout.write(f"docs/console/{name}.png\n")


if __name__ == "__main__":
    raise SystemExit(main())
