"""Write the pages of docs/reference that come from the code: settings, commands, topics, event types, metrics,
the questions of operators.

`python docs/generate.py` writes them, `--check` says which are out of date and ends with status 1. Nothing of this machine
goes into a page: defaults are the declared ones, not those of an environment or a `dujiang.yaml`.
"""

import argparse
import inspect
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import typer
from prometheus_client import CollectorRegistry
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from dujiang.cli.app import app
from dujiang.settings import Settings, variable_of
from gateway.console.questions import PAGE_ANSWERS, PageAnswer, asked
from gateway.console.words import WORDS
from monitoring import metrics
from monitoring.dashboards.questions import QUESTIONS, Question, dashboard_of
from schemas.catalogue import default_registry
from schemas.contract import Contract
from schemas.registry import DEFAULT_PREFIX
from schemas.topics import TOPICS, Topic

FOLDER = Path(__file__).parent / "reference"
DAY_MS = 24 * 3600 * 1000


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; status 1 if a page is out of date")
    is_check = parser.parse_args().check
    stale = [name for name, page in PAGES.items() if _differs(FOLDER / name, page())]
    if is_check:
        if stale:
            print(f"out of date in docs/reference: {', '.join(stale)}; run `make docs`", file=sys.stderr)
        return 1 if stale else 0
    for name in stale:
        (FOLDER / name).write_text(PAGES[name](), encoding="utf-8")
        print(f"wrote docs/reference/{name}")
    return 0


def _differs(path: Path, text: str) -> bool:
    return not path.exists() or path.read_text(encoding="utf-8") != text


# --- settings ---------------------------------------------------------------------------------------------------------------


class Setting(NamedTuple):
    """One line of the page."""

    path: str
    default: str
    allowed: str
    meaning: str


def settings_page() -> str:
    groups: dict[str, list[Setting]] = {}
    for setting in _settings(Settings):
        groups.setdefault(setting.path.rpartition(".")[0], []).append(setting)
    parts = [
        _head("Settings"),
        "Every setting, its default and its environment variable. A value comes from the environment, else from",
        "`dujiang.yaml` in the working directory, else from the default; an unknown name or a wrong value is refused at",
        "start. `dujiang settings` shows the values in force, with secrets hidden. A list in a variable is parted by commas",
        "(`DUJIANG_DELIVER__NETWORKS=10.20.0.0/16,10.30.0.0/16`), or a JSON list.",
    ]
    for group, rows in groups.items():
        table = [(f"`{row.path}`", f"`{variable_of(row.path)}`", row.default, row.allowed, row.meaning) for row in rows]
        parts += ["", f"## {group or 'General'}", "", _table(("setting", "variable", "default", "allowed", "meaning"), table)]
    return "\n".join(parts) + "\n"


def _settings(model: type[BaseModel], prefix: str = "") -> Iterator[Setting]:
    for name, field in model.model_fields.items():
        kind = field.annotation
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            yield from _settings(kind, f"{prefix}{name}.")
        else:
            yield Setting(prefix + name, _default(field), _limits(field.metadata), field.description or "")


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "(must be set)"
    if field.annotation is Path:
        return "(this user's folder)"
    value = field.get_default(call_default_factory=True)
    if hasattr(value, "get_secret_value"):
        value = value.get_secret_value()
    if isinstance(value, bool):
        value = str(value).lower()
    if isinstance(value, list | tuple):
        value = ", ".join(map(str, value))
    return f"`{value}`" if value not in ("", None) else "(empty)"


def _limits(metadata: Sequence[Any]) -> str:
    words = {"ge": "≥", "gt": ">", "le": "≤", "lt": "<"}
    found = [
        f"{sign} {value:,}".replace(",", " ")
        for item in metadata
        for name, sign in words.items()
        if (value := getattr(item, name, None)) is not None
    ]
    found += [f"`{item.pattern}`" for item in metadata if getattr(item, "pattern", None)]
    return ", ".join(found)


# --- commands ---------------------------------------------------------------------------------------------------------------


def cli_page() -> str:
    parts = [
        _head("Commands"),
        "Every command of `dujiang`; each says the same with `--help`. Exit status: 0 done, 1 it did not work or something",
        "needs a person, 2 wrong usage or settings. Tables go to standard output, progress and errors to standard error;",
        "`--json` prints one JSON object a line.",
    ]
    for name, command in _commands(typer.main.get_command(app), "dujiang"):
        arguments = [param for param in command.params if param.param_type_name == "argument"]
        options = [param for param in command.params if param.param_type_name == "option"]
        usage = " ".join([name, *(_argument(param) for param in arguments), *(["[OPTIONS]"] if options else [])])
        parts += ["", f"## `{name}`", "", f"`{usage}`", "", _flat(command.help)]
        rows = [(f"`{_argument(param)}`", _flat(param.help)) for param in arguments if param.help]
        rows += [(f"`{_option(param)}`", _flat(param.help) + _option_default(param)) for param in options]
        if rows:
            parts += ["", _table(("argument or option", "meaning"), rows)]
    return "\n".join(parts) + "\n"


def _commands(group: Any, path: str) -> Iterator[tuple[str, Any]]:
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from _commands(command, f"{path} {name}")
        else:
            yield f"{path} {name}", command


def _argument(param: Any) -> str:
    name = param.metavar or param.name.upper()
    return name if param.required else f"[{name}]"


def _option(param: Any) -> str:
    names = ", ".join([*param.opts, *param.secondary_opts])
    return names if param.is_flag else f"{names} {param.metavar or param.name.upper()}"


def _option_default(param: Any) -> str:
    return "" if param.is_flag or param.default in (None, "") else f" Default: `{param.default}`."


# --- topics -----------------------------------------------------------------------------------------------------------------


def topics_page() -> str:
    rows = [
        (
            f"`{topic.name}`",
            topic.key,
            topic.partitions,
            topic.cleanup,
            _retention(topic),
            topic.classification,
            topic.owner,
        )
        for topic in TOPICS.values()
    ]
    columns = ("topic", "key", "partitions", "clean-up", "kept", "seen by", "owner")
    return "\n".join(
        [
            _head("Topics"),
            "The table of topics (`schemas/topics.py`). All that can change an entity arrives through one topic, keyed by",
            "the entity; a `.state` topic is compacted, so the latest record of a key is its present state. `dujiang topics",
            "list` shows the table beside what the broker has, `dujiang topics create` creates what is missing.",
            "",
            _table(columns, rows),
            "",
        ]
    )


def _retention(topic: Topic) -> str:
    return "for ever" if topic.retention_ms < 0 else f"{topic.retention_ms // DAY_MS} days"


# --- event types ------------------------------------------------------------------------------------------------------------


def types_page() -> str:
    registry = default_registry()
    parts = [
        _head("Event types"),
        f"Every event type under the default prefix `{DEFAULT_PREFIX}`. `subject` names the entity and is the record's key,",
        "`time` says when the fact happened; both are required beside what CloudEvents 1.0.2 requires. Keys of `data` that a",
        "contract does not name are ignored. The platform alone publishes types marked *internal*.",
    ]
    for wire_type, contract in registry.contracts.items():
        note = " *internal*" if contract.is_internal else ""
        note += f" Deprecated on {contract.deprecated_on}." if contract.deprecated_on else ""
        note += f" May be gone from {contract.sunset_on}." if contract.sunset_on else ""
        topics = ", ".join(f"`{name}`" for name in contract.topic_names)
        parts += ["", f"## `{wire_type}`", "", f"Topic {topics}.{note} {_flat(contract.data.__doc__)}"]
        fields = _fields(contract)
        if fields:
            parts += ["", _table(("field", "form", "required", "note"), fields)]
    return "\n".join(parts) + "\n"


def _fields(contract: Contract) -> list[tuple[str, ...]]:
    schema = contract.data.model_json_schema()
    required = schema.get("required", [])
    return [
        (f"`{name}`", _form(field, schema), "yes" if name in required else "no", field.get("description", ""))
        for name, field in schema.get("properties", {}).items()
    ]


def _form(field: dict[str, Any], schema: dict[str, Any]) -> str:
    if "$ref" in field:
        inner = schema["$defs"][field["$ref"].rpartition("/")[2]]
        return "object with " + ", ".join(f"`{name}` ({_form(part, schema)})" for name, part in inner["properties"].items())
    if "anyOf" in field:
        return " or ".join(_form(part, schema) for part in field["anyOf"])
    if "enum" in field:
        return "one of " + ", ".join(f"`{value}`" for value in field["enum"])
    if field.get("type") == "array":
        return f"list of {_form(field['items'], schema)}"
    kind = str(field.get("type", "any"))
    return _FORMS.get((kind, field.get("format")), kind) + _bounds(field)


_FORMS = {
    ("string", "date"): "date `YYYY-MM-DD`",
    ("string", "date-time"): "instant, RFC 3339",
    ("string", None): "text",
    ("integer", None): "whole number",
    ("boolean", None): "true or false",
}


def _bounds(field: dict[str, Any]) -> str:
    words = {
        "minLength": "at least {} characters",
        "maxLength": "at most {} characters",
        "minimum": "≥ {}",
        "exclusiveMinimum": "> {}",
        "maximum": "≤ {}",
    }
    found = [text.format(f"{field[name]:,}".replace(",", " ")) for name, text in words.items() if name in field]
    return f", {', '.join(found)}" if found else ""


# --- metrics ----------------------------------------------------------------------------------------------------------------


def metrics_page() -> str:
    parts = [
        _head("Metrics"),
        "Every metric, as Prometheus sees it. A worker serves them at `/metrics` of `worker.http_port`, the gateway at",
        "`/metrics` of its own port, the deliverer at `deliver.http_port`, the connector of a partner's topic at",
        "`connectors.kafka_topic.http_port`. A worker counts once a batch, never once an event. `dujiang ingest` ends with its",
        "files and serves nothing: its account is `v_connector_file`. `dujiang console` serves no metrics.",
    ]
    for name, catalogue in inspect.getmembers(metrics, inspect.isclass):
        if catalogue.__module__ == metrics.__name__ and name.endswith("Metrics"):
            owner = _flat(catalogue.__doc__).removeprefix("Of ").removesuffix(".")
            parts += [
                "",
                f"## {owner[0].upper()}{owner[1:]}",
                "",
                _table(("metric", "kind", "labels", "meaning"), _metrics(catalogue)),
            ]
    return "\n".join(parts) + "\n"


def _metrics(catalogue: type) -> Iterator[tuple[str, ...]]:
    for metric in vars(catalogue(CollectorRegistry())).values():
        if not hasattr(metric, "collect"):
            continue
        family = next(iter(metric.collect()))
        # The clients' own metrics keep their label names to themselves; ours tell them.
        labels = metric.labels if isinstance(getattr(metric, "labels", None), tuple) else metric._labelnames
        name = f"{family.name}_total" if family.type == "counter" else family.name
        yield f"`{name}`", family.type, ", ".join(labels), family.documentation


# --- operators' questions ---------------------------------------------------------------------------------------------------


def questions_page() -> str:
    in_console = {answer.number for answer in PAGE_ANSWERS}
    answered = sum(bool(question.panels) or question.number in in_console for question in QUESTIONS)
    parts = [
        _head("Operators' questions"),
        "What operators ask, and the panel of Grafana or the page of the console that answers. A question whose subject is not",
        f"built yet says what it needs. {answered} of {len(QUESTIONS)} have an answer. How to see them:",
        "[Grafana](../how-to/grafana.md), [console](../how-to/console.md). In a page's query `%(name)s` is what it fills in.",
    ]
    for question in QUESTIONS:
        parts += ["", f"## {question.number}. {question.text}", "", *_answers(question)]
    return "\n".join(parts) + "\n"


def _answers(question: Question) -> Iterator[str]:
    for panel in question.panels:
        yield f"Dashboard *{dashboard_of(panel).title}*, panel *{panel.title}*. {panel.meaning.en}"
        yield ""
        for query in panel.queries:
            yield f"```{type(query).__name__.lower()}"
            yield query.text
            yield "```"
        yield ""
    for answer in PAGE_ANSWERS:
        if answer.number == question.number:
            yield from _page_of(answer)
    if question.needs:
        yield f"Not yet: needs {question.needs}."


def _page_of(answer: PageAnswer) -> Iterator[str]:
    title = WORDS[answer.page]
    yield f"Console *{title.zh} · {title.en}*, `/console/{answer.path}`."
    yield ""
    for query in asked(answer):
        yield "```sql"
        yield query
        yield "```"
    yield ""


# --- Markdown ---------------------------------------------------------------------------------------------------------------


def _head(title: str) -> str:
    return f"# {title}\n\n<!-- Written by docs/generate.py; change the code and run `make docs`. -->\n"


def _table(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    lines = [columns, ["---"] * len(columns), *rows]
    return "\n".join("| " + " | ".join(str(cell).replace("|", "\\|") for cell in line) + " |" for line in lines)


def _flat(text: str | None) -> str:
    return " ".join((text or "").split())


PAGES: dict[str, Callable[[], str]] = {
    "settings.md": settings_page,
    "cli.md": cli_page,
    "topics.md": topics_page,
    "types.md": types_page,
    "metrics.md": metrics_page,
    "questions.md": questions_page,
}

if __name__ == "__main__":
    sys.exit(main())
