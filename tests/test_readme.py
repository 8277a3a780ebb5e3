"""README.md and docs/ as a stranger uses them: every block is checked or run, every name in them is one of ours.

A block whose first line names a file (```yaml specs/slos.yaml) is that file. Commands are parsed by the command line
itself; those of the README's "Your own Kafka" run on the tests' broker, docs/try-it.md as a whole in `make proof`.
"""

import json
import os
import re
import shlex
import signal
import socket
import subprocess
import sys
import time
import tomllib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

import pytest
import typer
import yaml

from detectors.state import DataState
from schemas import actuator, eventschema
from schemas.commands import CommandKind, OutcomeReason, OutcomeStatus
from schemas.refusal import RefusalReason
from schemas.runbook import Autonomy, Cause
from stream import cli, settings, specs, topics

ROOT = Path(__file__).parents[1]
PAGES = (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")))
BLOCK = re.compile(r"^```(\w*)[ ]?(\S*)\n(.*?)^```$", re.M | re.S)
STOP_S = 40.0  # detect takes a last snapshot
HEALED_S = 90.0  # 35 s of calm lie before it; onset to closed takes about 30 s

# Programs in blocks of commands, and who runs them if this file does not. Anything else is an unchecked promise.
ELSEWHERE = {
    "make": "each target is a test tier or a scenario of its own; that the target exists is checked in test_tidy.py",
    "source": "the tests run in that environment",
}
TEXT_BLOCKS = {"text": "output of one run, which no other run repeats to the digit"}


@dataclass(frozen=True, slots=True)
class Block:
    page: str
    language: str
    file: str
    text: str

    @property
    def commands(self) -> list[list[str]]:
        return [shlex.split(line, comments=True) for line in self.text.splitlines() if line.strip()]


def blocks(page: Path) -> list[Block]:
    return [Block(page.name, *found) for found in BLOCK.findall(page.read_text())]


ALL = [block for page in PAGES for block in blocks(page)]
README = blocks(PAGES[0])


def write_files(found: list[Block], folder: Path) -> None:
    for block in (one for one in found if one.file):
        path = folder / block.file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(block.text)


@pytest.mark.parametrize("block", ALL, ids=lambda block: f"{block.page}:{block.file or block.text[:30]!r}")
def test_every_block_is_a_file_or_commands_or_output(block: Block) -> None:
    if block.file:
        assert block.language in ("yaml", "toml")
    elif block.language == "sh":
        for program, *arguments in block.commands:
            assert program in ELSEWHERE or _is_ours(program, arguments), f"nobody runs `{program} {arguments}`"
    else:
        assert block.language in TEXT_BLOCKS


def _is_ours(program: str, arguments: list[str]) -> bool:
    """True for what the tests below run, or at least parse, in this very form."""
    match program, arguments:
        case "douse", _:
            _parse(arguments)
            return True
        case "python", ["-m", module, *_]:
            return (ROOT / f"{module.replace('.', '/')}.py").exists()
        case "python", [script, *_] if script.endswith(".py"):
            return (ROOT / script).exists()
        case "python" | "curl", _:
            return True
        case _:
            return False


def _parse(arguments: list[str]) -> None:
    """Hands them to the command line without running anything; wrong options and missing ones raise."""
    command: Any = typer.main.get_command(cli.app)
    rest = list(arguments)
    while hasattr(command, "commands"):
        assert rest, "names no command"
        assert rest[0] in command.commands, f"there is no `douse {' '.join(arguments)}`"
        command = command.commands[rest.pop(0)]
    command.make_context(command.name, rest)


def test_commands_in_the_prose_exist() -> None:
    for page in PAGES:
        for words in re.findall(r"`douse ([a-z][^`|]*)`", page.read_text()):
            group = getattr(typer.main.get_command(cli.app), "commands", {}).get(words)
            if not hasattr(group, "commands"):  # `douse kill` stands for all that is below it
                _parse(shlex.split(words.replace("...", "x")) + _needed(words))


def _needed(words: str) -> list[str]:
    """What prose leaves out of a command: the value that it needs anyway."""
    missing = {
        "kill on": ["--reason", "x"],
        "kill off": ["--reason", "x"],
        "state rebase": ["--shard", "0"],
        "specs apply": ["specs"],
    }
    return missing.get(words, [])


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_files_of_a_page_are_good(page: Path, tmp_path: Path) -> None:
    write_files(blocks(page), tmp_path)
    if (tmp_path / "specs").exists():
        if not list((tmp_path / "specs").glob("slos.yaml")):  # a page about runbooks borrows the README's objective
            write_files([block for block in README if block.file == "specs/slos.yaml"], tmp_path)
        assert specs.load(tmp_path / "specs").notes == ()
    if (tmp_path / "actuator.toml").exists():
        actuator.parse((tmp_path / "actuator.toml").read_text(), "actuator.toml")
    if (tmp_path / "douse.toml").exists():
        settings.load({}, tmp_path / "douse.toml")


def test_the_readmes_files_fit_together(tmp_path: Path) -> None:
    """Target, autonomy and actuator name the same things; otherwise the reader's first order would be refused."""
    write_files(README, tmp_path)
    loaded = specs.load(tmp_path / "specs").specs
    rules = actuator.parse((tmp_path / "actuator.toml").read_text(), "actuator.toml")
    (target,) = loaded.targets
    found = rules.target(target.id)
    assert found is not None
    assert (found.environment, found.tenants, found.parameter) == (target.environment, target.tenants, target.parameter)
    assert target.actuator == rules.name
    assert [(rule.environment, rule.tenant) for rule in loaded.autonomy] == [(target.environment, target.tenants[0])]
    assert rules.allow[0].mitigations == loaded.runbooks[0].mitigations


def test_the_topic_table_is_true() -> None:
    days = {3: "3 d", 7: "7 d", 14: "14 d", 90: "90 d"}
    rows = re.findall(
        r"^\| `(douse\.[\w-]+)` \| (?:read|written|both) \| (\d+) \| ([^|]+) \|", PAGES[0].read_text(), re.M
    )
    wanted = {}
    for topic in topics.table(topics.names()):
        kept = int(topic.config.get("retention.ms", 0)) // topics.DAY_MS
        wanted[topic.name] = (str(topic.partitions), f"delete, {days[kept]}" if kept else "compact")
    assert {name: (partitions, cleanup) for name, partitions, cleanup in rows} == wanted


def test_every_state_and_reason_is_explained() -> None:
    words = set(re.findall(r"`([a-z_]+)`", (ROOT / "docs" / "operating.md").read_text()))
    wanted = {state.text for state in DataState}
    for each in (RefusalReason, OutcomeReason, OutcomeStatus):
        wanted |= {one.value for one in each}
    assert not wanted - words
    runbook = set(re.findall(r"`([a-z_]+)`", (ROOT / "docs" / "runbook.md").read_text()))
    assert not {one.value for each in (Cause, Autonomy) for one in each} - runbook


def test_every_event_type_is_named() -> None:
    text = (ROOT / "docs" / "events.md").read_text()
    types = {f"{prefix}{kind}" for prefix, kind in _listed_types(text)}
    by_kind = {f"command.{kind.value}" for kind in CommandKind}
    wanted = {name for name in eventschema.EVENTS if name != "command"} | by_kind
    assert types == {f"dev.douse.{name}" for name in wanted}


def _listed_types(text: str) -> Iterator[tuple[str, str]]:
    """`dev.douse.incident.opened`, `.closed` in one row of the table share what stands before the last dot."""
    for row in re.findall(r"^\| `douse\.\w+` \|.*$", text, re.M):
        prefix = ""
        for name in re.findall(r"`((?:dev\.douse)?\.[\w.]+)`", row):
            prefix = name.rpartition(".")[0] if name.startswith("dev.") else prefix
            yield f"{prefix}.", name.rpartition(".")[2]


def test_links_lead_somewhere() -> None:
    for page in PAGES:
        for link in re.findall(r"\]\(([^)#]+)", page.read_text()):
            assert link.startswith("https://") or (page.parent / link).exists(), f"{page.name}: {link}"


def test_the_collectors_pipelines_use_what_is_there_and_the_topics_that_are_read() -> None:
    """No Collector runs in the tests: it is no Python package. Its settings are read as YAML and compared with ours."""
    tree = yaml.safe_load((ROOT / "examples" / "collector.yaml").read_text())
    for pipeline in tree["service"]["pipelines"].values():
        for kind in ("receivers", "processors", "exporters"):
            assert set(pipeline[kind]) <= set(tree[kind])
    kafka, names = tree["exporters"]["kafka"], topics.names()
    signals = {"traces": names.spans, "metrics": names.metrics, "logs": names.logs}
    assert {one: kafka[one]["topic"] for one in signals} == signals
    assert {kafka[one]["encoding"] for one in signals} == {"otlp_proto"}


class Reader:
    """Does what a page says, in a folder of its own, with this broker's address and free ports for the page's."""

    def __init__(self, folder: Path, bootstrap: str, prefix: str) -> None:
        self.folder = folder
        self.ports = {port: _free_port() for port in ("8081", "8083")}
        self.bootstrap = bootstrap
        self.environment = {
            **os.environ,
            "DOUSE_TOPIC_PREFIX": prefix,
            "DOUSE_GROUP_PREFIX": f"{prefix}douse",
            "DOUSE_SHARDS": "2",
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
            "PYTHONPATH": str(ROOT),
        }

    def mine(self, text: str) -> str:
        text = text.replace("127.0.0.1:9092", self.bootstrap)
        for port, free in self.ports.items():
            text = re.sub(rf"\b{port}\b", free, text)
        return text

    def write(self, found: list[Block], *names: str) -> None:
        chosen = [block for block in found if block.file in names]
        assert {block.file for block in chosen} == set(names)
        write_files([Block(one.page, one.language, one.file, self.mine(one.text)) for one in chosen], self.folder)

    def run(self, command: list[str]) -> str:
        done = subprocess.run(
            self._command(command), cwd=self.folder, env=self.environment, capture_output=True, text=True, timeout=60
        )
        assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"
        return done.stdout

    @contextmanager
    def running(self, command: list[str]) -> Iterator[Callable[[], str]]:
        """Starts it; the value gives what it has said. It must still run at the end, and stop cleanly."""
        log = self.folder / f"{command[-1].replace('/', '-')}-{len(list(self.folder.glob('*.log')))}.log"
        with log.open("wb") as out:
            process = subprocess.Popen(
                self._command(command), cwd=self.folder, env=self.environment, stdout=out, stderr=out
            )
        try:
            yield log.read_text
            assert process.poll() is None, log.read_text()
        finally:
            process.send_signal(signal.SIGTERM)
            code = process.wait(STOP_S)
        assert code == 0, log.read_text()

    def _command(self, command: list[str]) -> list[str]:
        return [self.mine(word) for word in command]


def _free_port() -> str:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return str(taken.getsockname()[1])


def until(condition: Callable[[], bool], limit_s: float, said: Callable[[], str]) -> None:
    deadline_s = time.monotonic() + limit_s
    while not condition():
        assert time.monotonic() < deadline_s, said()[-3000:]
        time.sleep(0.2)


@pytest.mark.broker
def test_the_readmes_own_kafka_works_as_written(tmp_path: Path, bootstrap: str, prefix: str) -> None:
    """Steps 2 to 9 in their order, `douse run` from step 7 on. Only docs/try-it.md has an incident to report."""
    reader = Reader(tmp_path, bootstrap, prefix)
    files = [block.file for block in README if block.file]
    reader.write(README, *(name for name in files if name != "specs/autonomy.yaml"))
    commands = [one for block in README if block.language == "sh" for one in block.commands if one[0] == "douse"]
    start = next(one for one in commands if one[:2] == ["douse", "run"])
    before, after = commands[: commands.index(start)], commands[commands.index(start) + 1 :]
    assert ["douse", "topics", "create", "--sources"] in before
    for command in before:
        reader.run(command)
    with reader.running(start) as said:
        until(lambda: "shard 1:" in said(), 60, said)
        assert "act started" in said()
        reader.write(README, "specs/autonomy.yaml")
        told = {" ".join(one): reader.run(one) for one in after if one != ["douse", "report", "latest"]}
    assert told["douse incidents"] == "no incidents\n"
    assert "in force now" in told["douse specs apply specs"]
    assert "ON" in told["douse kill show"]


@pytest.mark.proof
def test_try_it_heals_the_shop_with_the_readmes_files(tmp_path: Path, bootstrap: str, prefix: str) -> None:
    """Incident and suggestion first, nothing changed; then leave, and the pool doubles and the incident closes."""
    reader = Reader(tmp_path, bootstrap, prefix)
    reader.write(README, "douse.toml", "specs/slos.yaml", "specs/runbook.yaml", "actuator.toml")
    commands = [one for block in blocks(ROOT / "docs" / "try-it.md") for one in block.commands]
    world, service, clients = (one for one in commands if one[0] == "python")
    exporting = ["--topic-prefix", prefix]
    for command in (one for one in commands[:5] if one[:2] != ["douse", "broker"] and one[0] == "douse"):
        reader.run(command)
    reader.run(world)
    admin = f"http://127.0.0.1:{reader.ports['8081']}/admin/config"
    with reader.running([*service, *exporting]) as service_said:
        until(lambda: "listens" in service_said(), 30, service_said)
        with reader.running(clients) as clients_said, reader.running(["douse", "run", "--specs", "specs"]) as said:
            until(lambda: "listens" in clients_said(), 30, clients_said)
            time.sleep(45)  # what the page asks for, and the start
            tabs = f"http://127.0.0.1:{reader.ports['8083']}/tabs"
            urlopen(Request(tabs, data=b'{"tabs": 280}', method="POST"), timeout=5).close()
            until(lambda: "suggested" in _states(reader), HEALED_S, said)
            assert _pool_size(admin) == 32
            reader.write(README, "specs/autonomy.yaml")
            reader.run(["douse", "specs", "apply", "specs"])
            until(lambda: "closed" in _states(reader), HEALED_S, said)
            assert _pool_size(admin) == 64
            assert "confirmed" in reader.run(["douse", "report", "latest"])
            _consumer_reads(reader, prefix)


def _states(reader: Reader) -> list[str]:
    return [each["state"] for each in json.loads(reader.run(["douse", "incidents", "--json"]))]


def _pool_size(url: str) -> int:
    with urlopen(url, timeout=5) as answer:
        return int(json.load(answer)["pool_size"])


def _consumer_reads(reader: Reader, prefix: str) -> None:
    """examples/consumer.py on the incident that has just ended; it goes on for ever, so it is ended."""
    script = str(ROOT / "examples" / "consumer.py")
    command = [sys.executable, "-u", script, reader.bootstrap, prefix]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        wanted = {"dev.douse.incident.closed", "dev.douse.command.apply", "dev.douse.outcome"}
        for line in process.stdout:
            wanted -= {line.split()[1]}
            if not wanted:
                break
    finally:
        process.kill()
        process.wait()


def test_the_image_holds_every_package_that_is_installed() -> None:
    """The demo plays on the example, so without it `docker run ... demo` would end at its first import."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    wanted = {name.rstrip("*") for name in project["tool"]["setuptools"]["packages"]["find"]["include"]}
    assert wanted <= set(re.findall(r"^COPY (\w+) \1$", (ROOT / "deploy" / "Dockerfile").read_text(), re.M))
