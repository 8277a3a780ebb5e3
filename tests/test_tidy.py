"""The house rules that no tool checks: sizes, leftovers, orphans, what lies where, and commands that exist."""

import ast
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
ROOMS = ("schemas", "detectors", "actuators", "stream")
CORE = ("schemas/", "detectors/", "actuators/policy/", "actuators/edits/", "stream/engine")
CODE = (*ROOMS, "tests", "benchmarks", "examples")
FILE_LINES_MAX = 400
FUNCTION_LINES_MAX = 60  # longer where a comment `# long:` says why splitting would hide the flow
TOP = {"Makefile", "LICENSE", "README.md", "pyproject.toml", "docker-compose.yml", "deploy", "docs", *CODE}
OUTPUT = {"out", "build", "dist", "__pycache__", "douse.egg-info"}  # ignored by .gitignore
LEFTOVERS = re.compile(r"\b(TO" r"DO|FIX" r"ME|XX" r"X)\b|\bbreak" r"point\(|\bpdb\b")
MACHINE_PATH = re.compile(r"(?<![\w.])/(?:work|root|home|Users)/\w+")
TEXT = {".py", ".md", ".toml", ".yml", ".yaml", ".json", ".txt", ".sh", ""}


def sources() -> list[Path]:
    return [path for room in CODE for path in sorted((ROOT / room).rglob("*.py"))]


def texts() -> Iterator[Path]:
    places = [ROOT / name for name in TOP | {".ci"} if (ROOT / name).exists()]
    for place in places:
        for path in [place] if place.is_file() else place.rglob("*"):
            if path.is_file() and path.suffix in TEXT and "__pycache__" not in path.parts:
                yield path


def short(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def test_files_and_functions_are_short() -> None:
    found = []
    for path in sources():
        text = path.read_text()
        lines = text.splitlines()
        if len(lines) > FILE_LINES_MAX:
            found.append(f"{short(path)}: {len(lines)} lines")
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.end_lineno is not None:
                own = lines[node.lineno - 1 : node.end_lineno]
                if len(own) > FUNCTION_LINES_MAX and not any("# long:" in line for line in own):
                    found.append(f"{short(path)}:{node.lineno} {node.name}: {len(own)} lines")
    assert not found, found


def test_no_leftovers_and_no_machine_paths() -> None:
    found = []
    for path in texts():
        for number, line in enumerate(path.read_text(errors="replace").splitlines(), 1):
            if LEFTOVERS.search(line) or MACHINE_PATH.search(line):
                found.append(f"{short(path)}:{number} {line.strip()[:80]}")
    assert not found, found


def test_the_core_prints_nothing() -> None:
    core = [path for path in sources() if short(path).startswith(CORE)]
    calls = [
        (path, node) for path in core for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Call)
    ]
    assert not [short(path) for path, node in calls if isinstance(node.func, ast.Name) and node.func.id == "print"]


def test_no_file_is_an_orphan() -> None:
    """Every module is imported by something that is no test, or is the entry of a command or of `-m`."""
    scripts = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["scripts"].values()
    named = {script.split(":")[0] for script in scripts}
    for path in (path for path in sources() if not short(path).startswith("tests/")):
        text = path.read_text()
        named |= set(re.findall(r"['\"]-m['\"],\s*['\"]([\w.]+)['\"]", text))
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.Import):
                named |= {each.name for each in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module:
                named |= {node.module} | {f"{node.module}.{each.name}" for each in node.names}
    modules = [
        path for path in sources() if short(path).startswith(ROOMS) and path.stem not in ("__init__", "__main__")
    ]
    assert not [short(path) for path in modules if short(path)[:-3].replace("/", ".") not in named]


def test_nothing_lies_at_the_top_that_does_not_belong_there() -> None:
    assert not {path.name for path in ROOT.iterdir() if not path.name.startswith(".")} - TOP - OUTPUT


def test_commands_named_in_the_readme_exist() -> None:
    readme = ROOT / "README.md"
    if not readme.exists():
        pytest.skip("no README.md yet")
    targets = set(re.findall(r"^([a-z.]+):", (ROOT / "Makefile").read_text(), re.M))
    assert not set(re.findall(r"\bmake ([a-z]+)\b(?=[^\n]*`|\s*(?:#|$|[A-Z]+=))", readme.read_text(), re.M)) - targets
