"""All settings of douse, read once and never changed: one TOML file and the environment, which wins.

No other module reads the environment for a setting. The table of docs/settings.md is made from this one.
"""

import re
import tomllib
from collections.abc import Mapping
from dataclasses import Field, dataclass, field, fields
from datetime import datetime
from pathlib import Path
from typing import Any

from schemas.fields import nearest, one_of
from schemas.otlp.encoding import Encoding
from schemas.yamlfile import Problem
from stream import security
from stream.trouble import OperatorNeededError

DEFAULT_FILE = "douse.toml"
PREFIX = "DOUSE_"
# Names with our prefix that are no settings: where the file is; the broker's jars; the tests' broker.
OTHER_VARIABLES = ("DOUSE_CONFIG", "DOUSE_CACHE", "DOUSE_MAVEN_REPO", "DOUSE_TEST_BOOTSTRAP")
SECRETS = ("sasl_password",)  # settings that only the environment may hold
KEYS, DATA, ACTUATOR_FILE = Path("keys"), Path("out/data"), Path("actuator.toml")
TRUTHS = {"true": True, "false": False}
ADDRESSES = re.compile(r"[^\s:,]+:[0-9]{1,5}(\s*,\s*[^\s:,]+:[0-9]{1,5})*")
LISTEN = re.compile(r"off|[^\s:,]+:[0-9]{1,5}")
URL = re.compile(r"https?://\S+")
TOPIC = re.compile(r"[A-Za-z0-9._-]{1,249}")
ENCODINGS = tuple(str(each) for each in Encoding)
TOPIC_PART = re.compile(r"[A-Za-z0-9._-]{0,100}")  # Kafka allows 249 in all; ours are the shorter half


class BadSettingsError(OperatorNeededError):
    """The settings cannot be used; `problems` are all that is wrong."""

    def __init__(self, problems: list[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(str(problem) for problem in problems))


@dataclass(frozen=True, slots=True)
class Rule:
    """What a setting means, and the values that it may have."""

    text: str
    least: int = 0
    most: int = 0
    options: tuple[str, ...] = ()
    pattern: re.Pattern[str] | None = None
    example: str = ""
    form: str = "that Kafka takes"
    time: bool = False
    """Whether a moment in time will do as well."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Everything a process of douse is told from outside; RULES says what each one means."""

    bootstrap: str = "127.0.0.1:9092"
    security_protocol: str = "PLAINTEXT"
    sasl_mechanism: str = "SCRAM-SHA-512"
    sasl_username: str = ""
    sasl_password_file: Path | None = None
    sasl_password: str = field(default="", repr=False)
    oauth_token_url: str = ""
    oauth_scope: str = ""
    ssl_ca_file: Path | None = None
    ssl_cert_file: Path | None = None
    ssl_key_file: Path | None = None
    ssl_check_hostname: bool = True
    topic_prefix: str = ""
    group_prefix: str = "douse"
    shards: int = 16
    tick_ms: int = 250
    snapshot_s: int = 30
    snapshot_bytes: int = 64_000_000
    session_s: int = 30
    heartbeat_s: int = 3
    rebalance_s: int = 60
    start_from: str = "latest"
    logs: bool = True
    spans_topics: tuple[str, ...] = ()
    metrics_topics: tuple[str, ...] = ()
    logs_topics: tuple[str, ...] = ()
    spans_encoding: str = "otlp_proto"
    metrics_encoding: str = "otlp_proto"
    logs_encoding: str = "otlp_proto"
    keys_folder: Path = KEYS
    command_key_file: Path = KEYS / "command.key"
    operator_key_file: Path = KEYS / "operator.key"
    actuator_key_file: Path = KEYS / "actuator-local.key"
    trusted_operator_keys: tuple[Path, ...] = (KEYS / "operator.pub",)
    trusted_command_keys: tuple[Path, ...] = (KEYS / "command.pub",)
    trusted_actuator_keys: tuple[Path, ...] = (KEYS / "actuator-local.pub",)
    data_folder: Path = DATA
    actuator_file: Path = ACTUATOR_FILE
    ingest_metrics_address: str = "127.0.0.1:9471"
    detect_metrics_address: str = "127.0.0.1:9472"
    act_metrics_address: str = "127.0.0.1:9473"
    log_level: str = "info"
    log_format: str = "console"


_TOPICS_TEXT = "Taken as written; a leading `^` makes a regular expression, as in a Collector."
_ENCODING_TEXT = (
    "How their records are written; one that is plainly of the other encoding is read as such, and counted."
)

RULES: Mapping[str, Rule] = {
    "bootstrap": Rule(
        "Addresses of the Kafka brokers, `host:port`, separated by commas.", pattern=ADDRESSES, example="127.0.0.1:9092"
    ),
    "security_protocol": Rule("How brokers are spoken to; [kafka.md](kafka.md).", options=security.PROTOCOLS),
    "sasl_mechanism": Rule("How the SASL protocols log in.", options=security.MECHANISMS),
    "sasl_username": Rule("Name to log in with; the client id for OAUTHBEARER."),
    "sasl_password_file": Rule("File, mode 0600, whose first line is the password or client secret."),
    "sasl_password": Rule("The same as text, which wins: from the environment alone, a settings file may not hold it."),
    "oauth_token_url": Rule("Where OAUTHBEARER gets tokens.", pattern=URL, example="https://login.example.com/token"),
    "oauth_scope": Rule("Scope to ask for with a token."),
    "ssl_ca_file": Rule("PEM file of the authorities that sign brokers' certificates; empty: the system's."),
    "ssl_cert_file": Rule("PEM file of our own certificate, where brokers ask for one."),
    "ssl_key_file": Rule("PEM file of its private key, without a password, readable for its owner alone."),
    "ssl_check_hostname": Rule("Whether a broker's certificate must name the host that `bootstrap` names."),
    "topic_prefix": Rule("Put before the name of every topic.", pattern=TOPIC_PART, example="team-a."),
    "group_prefix": Rule("Put before the name of every consumer group.", pattern=TOPIC_PART, example="douse"),
    "shards": Rule("Partitions of the journal, fixed when the topics are created; another number is refused.", 1, 1024),
    "tick_ms": Rule("Time between two ticks of a shard: decisions are taken at ticks.", 50, 1000),
    "snapshot_s": Rule("Longest time between two snapshots of a shard.", 1, 600),
    "snapshot_bytes": Rule("Journal bytes after which a snapshot is written at once.", 1_000_000, 1_000_000_000),
    "session_s": Rule("A worker that the broker has not heard for so long loses its partitions.", 6, 300),
    "heartbeat_s": Rule("Time between two signs of life of a worker; at most a third of `session_s`.", 1, 60),
    "rebalance_s": Rule("Time that workers have to join when partitions are shared out anew.", 6, 600),
    "start_from": Rule(
        "Where an OTLP topic is read from at its very first start: `latest`, `earliest`, or a time with its zone, as "
        "`2026-11-24T18:00:00Z`.",
        options=("latest", "earliest"),
        time=True,
    ),
    "logs": Rule("Whether the topic `otlp_logs` is read; without logs the causes rest on spans and metrics alone."),
    "spans_topics": Rule(f"Topics of spans, by default `otlp_spans` behind the prefix. {_TOPICS_TEXT}"),
    "metrics_topics": Rule(f"Topics of metrics, by default `otlp_metrics` behind the prefix. {_TOPICS_TEXT}"),
    "logs_topics": Rule(f"Topics of logs, by default `otlp_logs` behind the prefix. {_TOPICS_TEXT}"),
    "spans_encoding": Rule(_ENCODING_TEXT, options=ENCODINGS),
    "metrics_encoding": Rule(_ENCODING_TEXT, options=ENCODINGS),
    "logs_encoding": Rule(_ENCODING_TEXT, options=ENCODINGS),
    "keys_folder": Rule("Folder of the key files that `douse keys init` makes; the key files below stand in it."),
    "command_key_file": Rule("Private key of detect, which signs commands and incidents."),
    "operator_key_file": Rule("Private key of `douse specs apply` and `douse kill`."),
    "actuator_key_file": Rule("Private key of act, which signs outcomes."),
    "trusted_operator_keys": Rule("Public keys whose specs and kill switches count."),
    "trusted_command_keys": Rule("Public keys whose commands count."),
    "trusted_actuator_keys": Rule(
        "Public keys whose outcomes count; `actuator-NAME.pub` is that of the actuator NAME."
    ),
    "data_folder": Rule("Folder for what a process keeps on disk and can do without."),
    "actuator_file": Rule("What this machine's act may touch: targets, tenants, bounds."),
    **{
        f"{app}_metrics_address": Rule(
            f"Where {app} answers `/metrics`, `/healthz` and `/readyz`: `host:port` or `off`; it asks no password.",
            pattern=LISTEN,
            example=f"127.0.0.1:{port}",
            form="host:port or off",
        )
        for app, port in (("ingest", 9471), ("detect", 9472), ("act", 9473))
    },
    "log_level": Rule(
        "The least important lines that are logged.", options=("debug", "info", "warning", "error", "critical")
    ),
    "log_format": Rule("Lines for people, or one JSON object a line.", options=("console", "json")),
}


def load(environment: Mapping[str, str], config: Path | None = None) -> Settings:
    """Settings from the file and the environment. Raises BadSettingsError with every mistake.

    The file is `config`, else DOUSE_CONFIG, else `douse.toml` in the working folder where there is one.
    """
    problems: list[Problem] = []
    path = config or (Path(environment["DOUSE_CONFIG"]) if environment.get("DOUSE_CONFIG") else None)
    if path is None and Path(DEFAULT_FILE).is_file():
        path = Path(DEFAULT_FILE)
    values: dict[str, Any] = {}
    base = Path()
    if path is not None:
        base = path.parent
        values = _from_file(path, problems)
    values |= _from_environment(environment, problems)
    values = _with_defaults(values, base)
    if not problems:
        _check_together(values, problems, path)
    if problems:
        raise BadSettingsError(problems)
    return Settings(**values)


def documentation() -> str:
    """The page docs/settings.md."""
    rows = []
    for each in fields(Settings):
        rule = RULES[each.name]
        variable = f"{PREFIX}{each.name.upper()}"
        options = (*TRUTHS,) if each.type is bool else rule.options
        allowed = f"{rule.least} to {rule.most}" if rule.most else ", ".join(f"`{option}`" for option in options)
        rows.append(f"| `{each.name}` | `{variable}` | {_default_text(each.default)} | {allowed} | {rule.text} |")
    return "\n".join([*_DOCUMENT_HEAD, *rows, *_DOCUMENT_TAIL]) + "\n"


_DOCUMENT_HEAD = (
    "# Settings",
    "",
    f"One TOML file (`{DEFAULT_FILE}` in the working folder, or the one that `--config` or `DOUSE_CONFIG` names) and",
    "the environment, which wins. A wrong setting stops a command before it begins, and names what would be right.",
    "Relative paths in the file, and the defaults, start at the file's folder (without a file: at the working folder);",
    "those in the environment start at the working folder. Lists in the environment are separated by commas.",
    "",
    "| setting | variable | default | allowed | meaning |",
    "|---|---|---|---|---|",
)
_DOCUMENT_TAIL = (
    "",
    "Not settings, but read from the environment as well:",
    "",
    "| variable | meaning |",
    "|---|---|",
    "| `DOUSE_CONFIG` | path of the settings file |",
    "| `DOUSE_CACHE` | folder where `douse broker` keeps the broker's jars (default: the user's cache folder) |",
    "| `DOUSE_MAVEN_REPO` | Maven repository to fetch those jars from (default: Maven Central) |",
    "| `DOUSE_TEST_BOOTSTRAP` | address of a broker for the tests, instead of one that they start |",
    "",
    "This page is made by `python -m stream.settings > docs/settings.md`; a test keeps it true.",
)


def _from_file(path: Path, problems: list[Problem]) -> dict[str, Any]:
    label = str(path)
    try:
        text = path.read_text(encoding="utf-8")
        tree = tomllib.loads(text)
    except FileNotFoundError:
        problems.append(
            Problem(label, 0, "", "is not there; name another file, or leave the settings to their defaults")
        )
        return {}
    except (OSError, UnicodeDecodeError) as error:
        problems.append(Problem(label, 0, "", f"cannot be read: {error}"))
        return {}
    except tomllib.TOMLDecodeError as error:
        line = re.search(r"\(at line ([0-9]+)", str(error))
        problems.append(Problem(label, int(line[1]) if line else 0, "", f"not TOML: {error}"))
        return {}
    known = {each.name: each for each in fields(Settings)}
    values = {}
    for name, value in tree.items():
        if name not in known:
            unknown = f"is not a setting{nearest(name, known)}; known are {one_of(known)}"
            problems.append(Problem(label, _line_of(text, name), name, unknown))
            continue
        if name in SECRETS:
            forbidden = f"is a secret and does not stand in a settings file; use {name}_file or {PREFIX}{name.upper()}"
            problems.append(Problem(label, _line_of(text, name), name, forbidden))
            continue
        read, wrong = _read(known[name], value, path.parent)
        if wrong:
            problems.append(Problem(label, _line_of(text, name), name, wrong))
        values[name] = read
    return values


def _from_environment(environment: Mapping[str, str], problems: list[Problem]) -> dict[str, Any]:
    known = {f"{PREFIX}{each.name.upper()}": each for each in fields(Settings)}
    values = {}
    for variable in sorted(environment):
        if not variable.startswith(PREFIX) or variable in OTHER_VARIABLES:
            continue
        if variable not in known:
            unknown = f"is not a setting{nearest(variable, (*known, *OTHER_VARIABLES))}; docs/settings.md has them all"
            problems.append(Problem("environment", 0, variable, unknown))
            continue
        value: Any = environment[variable]
        if known[variable].type is int and re.fullmatch(r"[+-]?[0-9]{1,18}", value):
            value = int(value)
        elif known[variable].type is bool:
            value = TRUTHS.get(value.strip().lower(), value)
        elif known[variable].type in (tuple[Path, ...], tuple[str, ...]):
            value = [part.strip() for part in value.split(",") if part.strip()]
        read, wrong = _read(known[variable], value, Path())
        if wrong:
            problems.append(Problem("environment", 0, variable, wrong))
        values[known[variable].name] = read
    return values


def _read(setting: Field[Any], value: Any, base: Path) -> tuple[Any, str]:
    """The value in the setting's own type, and what is wrong with it."""
    rule = RULES[setting.name]
    if setting.type is bool:
        wrong = (
            ""
            if isinstance(value, bool)
            else f"{value!r} is neither true nor false; write e.g. {str(setting.default).lower()}"
        )
        return value, wrong
    if setting.type is int:
        if isinstance(value, bool) or not isinstance(value, int):
            return value, f"{value!r} is not a whole number; write e.g. {setting.default}"
        if not rule.least <= value <= rule.most:
            return value, f"{value} is not between {rule.least} and {rule.most}; write e.g. {setting.default}"
        return value, ""
    if setting.type == tuple[Path, ...]:
        if not isinstance(value, list) or not value or not all(isinstance(part, str) and part for part in value):
            return value, f'{value!r} is not a list of paths; write e.g. ["keys/operator.pub"]'
        return tuple(base / part for part in value), ""
    if setting.type == tuple[str, ...]:
        return _topics(value)
    if not isinstance(value, str):
        return value, f"{value!r} is not text; write it in quotes"
    if setting.type in (Path, Path | None):
        return (base / value, "") if value else (value, "is empty; name a path, or leave the setting out")
    if rule.time and value not in rule.options:
        return value, "" if time_ms(value) is not None else _no_time(value)
    if rule.options and value not in rule.options:
        return value, f"{value!r} is not one of {one_of(rule.options)}{nearest(value, rule.options)}"
    if rule.pattern is not None and not rule.pattern.fullmatch(value):
        return value, f"{value!r} is not of the form {rule.form}; write e.g. {rule.example!r}"
    return value, ""


def _topics(value: Any) -> tuple[Any, str]:
    if not isinstance(value, list) or not value or not all(isinstance(part, str) for part in value):
        return value, f'{value!r} is not a list of topics; write e.g. ["otlp_spans"]'
    for part in value:
        if part.startswith("^"):
            try:
                re.compile(part)
            except re.error as error:
                return value, f"{part!r} is not a regular expression: {error}"
        elif not TOPIC.fullmatch(part):
            return value, f"{part!r} is no name of a topic; a regular expression begins with ^"
    return tuple(value), ""


def time_ms(text: str) -> int | None:
    """The moment that an ISO 8601 text with a zone names, in Unix milliseconds; None for any other text."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    return int(moment.timestamp() * 1000) if moment.tzinfo is not None and moment.timestamp() >= 0 else None


def _no_time(value: str) -> str:
    options = RULES["start_from"].options
    example = "2026-11-24T18:00:00Z"
    return f"{value!r} is not one of {one_of(options)}{nearest(value, options)}, nor a time with its zone, as {example}"


def _with_defaults(values: dict[str, Any], base: Path) -> dict[str, Any]:
    """Default paths beside the settings file, and the key files in their folder, wherever that is."""
    full = {"keys_folder": base / KEYS, "data_folder": base / DATA, "actuator_file": base / ACTUATOR_FILE, **values}
    for each in fields(Settings):
        if each.name not in full and each.type is Path:
            full[each.name] = full["keys_folder"] / each.default.name
        elif each.name not in full and each.type == tuple[Path, ...]:
            names = [path.name for path in getattr(Settings(), each.name)]
            full[each.name] = tuple(full["keys_folder"] / name for name in names)
    return full


def _check_together(values: Mapping[str, Any], problems: list[Problem], path: Path | None) -> None:
    both = {each.name: values.get(each.name, each.default) for each in fields(Settings)}
    label = str(path) if path else "environment"
    if both["heartbeat_s"] * 3 > both["session_s"]:
        third = both["session_s"] // 3
        text = f"{both['heartbeat_s']} is more than a third of session_s ({both['session_s']}); write {third}"
        problems.append(Problem(label, 0, "heartbeat_s", text))
    problems.extend(security.problems(both, label))


def _line_of(text: str, name: str) -> int:
    for number, line in enumerate(text.splitlines(), start=1):
        if re.match(rf"\s*(\[+\s*)?[\"']?{re.escape(name)}[\"']?\s*[=.\]]", line):
            return number
    return 0


def _default_text(default: Any) -> str:
    values = default if isinstance(default, tuple) else (str(default).lower() if default in (True, False) else default,)
    return "empty" if default in ("", None, ()) else ", ".join(f"`{value}`" for value in values)


if __name__ == "__main__":
    print(documentation(), end="")
