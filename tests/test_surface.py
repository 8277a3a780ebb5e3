"""What others rely on: public names, commands, documented settings, and a core that runs without Faust."""

import ast
import re
import subprocess
import sys
import tomllib
from importlib import metadata
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
ROOMS = ("schemas", "detectors", "actuators", "stream")
COMMANDS = {
    "run",
    "ingest",
    "detect",
    "act",
    "broker",
    "topics",
    "specs",
    "incidents",
    "report",
    "keys",
    "kill",
    "state",
    "doctor",
    "dead-letter",
    "archive",
    "replay",
    "test",
}
SUBCOMMANDS = {
    "topics": {"create", "check"},
    "specs": {"check", "apply"},
    "state": {"rebase"},
    "keys": {"init"},
    "dead-letter": {"list", "show", "requeue"},
    "archive": {"topics", "import", "check"},
}


def loaded_by(module: str) -> set[str]:
    command = [sys.executable, "-c", f"import sys, {module}; print(*sys.modules)"]
    return set(subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout.split())


@pytest.mark.parametrize(
    "module", ["stream.engine", "stream.backtest.run", "stream.backtest.judged", "stream.backtest.written"]
)
def test_the_engine_and_the_replay_run_without_faust(module: str) -> None:
    assert not loaded_by(module) & {"faust", "mode", "aiokafka"}


def test_every_package_that_the_product_imports_is_a_declared_dependency() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    declared = {re.split(r"[^\w.-]", each)[0].lower().replace("_", "-") for each in project["dependencies"]}
    homes = metadata.packages_distributions()
    found = set()
    for path in (path for room in ROOMS for path in (ROOT / room).rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            names = [each.name for each in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            for top in {name.split(".")[0] for name in names} - set(sys.stdlib_module_names) - {*ROOMS, "examples"}:
                owners = {each.lower().replace("_", "-") for each in homes.get(top, [top])}
                if not owners & declared:
                    found.add(f"{path.relative_to(ROOT)}: {top}")
    assert not found, found


def test_the_command_line_has_the_promised_commands() -> None:
    import typer

    from stream import cli

    root = typer.main.get_command(cli.app)
    assert set(root.commands) >= COMMANDS | {"demo"}  # type: ignore[attr-defined]
    for name, wanted in SUBCOMMANDS.items():
        assert set(root.commands[name].commands) >= wanted  # type: ignore[attr-defined]


def test_every_setting_is_documented() -> None:
    """Each DOUSE_ variable and each field of Settings is a word of docs/settings.md."""
    page = ROOT / "docs" / "settings.md"
    if not page.exists():
        pytest.skip("docs/settings.md does not exist")
    words = set(re.findall(r"\w+", page.read_text()))
    wanted: set[str] = set()
    for path in (path for room in ROOMS for path in (ROOT / room).rglob("*.py")):
        text = path.read_text()
        wanted |= set(re.findall(r"['\"](DOUSE_[A-Z_]+)['\"]", text))
        if path == ROOT / "stream" / "settings.py":
            classes = [
                node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.ClassDef) and node.name == "Settings"
            ]
            fields = [each for node in classes for each in node.body if isinstance(each, ast.AnnAssign)]
            wanted |= {
                each.target.id for each in fields if isinstance(each.target, ast.Name) and each.target.id[0] != "_"
            }
    assert not wanted - words, sorted(wanted - words)


def test_there_is_one_reader_of_the_environment() -> None:
    """The command line hands it to the settings; the broker, which needs no settings, finds its jars by it."""
    readers = {
        path.relative_to(ROOT).as_posix()
        for room in ROOMS
        for path in (ROOT / room).rglob("*.py")
        if re.search(r"\bos\.(environ|getenv)\b", path.read_text())
    }
    assert readers <= {"stream/console.py", "stream/settings.py", "stream/broker/process.py"}, readers
