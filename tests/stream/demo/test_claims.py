"""A claim of the demo breaks where what it says is not so."""

import json
import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest

from examples.acme import retry
from examples.acme import world as acme
from examples.acme.world import World
from stream.demo import casting, claims
from stream.demo.play import Played, Snapshot
from stream.demo.scenario import SCENARIOS
from stream.demo.stage import Stage

WORLD, CAST = casting.default(SCENARIOS["acme"])
VICTIM = WORLD.tenants[0]
DONE = {
    b"pool_size          = 32\t#": b"pool_size          = 64\t#",
    b"recommendations = true": b"recommendations = false",
    b'\n    "backoff": "linear"': b'\n    "backoff": "exponential"',
}


def changed(path: Path, changes: dict[bytes, bytes]) -> None:
    content = path.read_bytes()
    for old, new in changes.items():
        content = content.replace(old, new)
    path.write_bytes(content)


def held_after(folder: Path, change: Callable[[Path, Path], object]) -> bool:
    """Writes the world, changes the victim's files as the scenario wants, does `change`, and asks the claim."""
    acme.write_world(folder / "world", WORLD)
    stage = Stage(folder, "", "", WORLD, CAST)
    before = Snapshot({}, {VICTIM.name: stage.owners(VICTIM.name)}, {}, {})
    files = stage.files(VICTIM.name)
    for path in files:
        changed(path, DONE)
    change(*files)
    return claims.only_those_values(stage, Played(CAST[0], before, 0, {}, {})).holds


def test_the_three_values_alone_hold(tmp_path: Path) -> None:
    assert held_after(tmp_path, lambda _service, _tabs: None)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"\t# connections", b" # connections"),
        (b"= 64\t", b"= 6_4\t"),
        (b"= 64\t", b"= 128\t"),
        (b"# yes, somebody chose that\n", b"# yes, somebody chose that\r\n"),
        (b"in this file first.\n", b"in this file first. \n"),
        (b'password  = "pool_size = 32"', b'password  = "pool_size = 64"'),
        (b"recommendations = false", b"recommendations = true"),
        (b"orders = true", b"orders = false"),
        (b'"exponential"', b"'exponential'"),
        (b"// the first try counts", b"/* the first try counts */"),
        (b'"attempts": 8', b'"attempts": 2'),
        (b'\\"backoff\\": \\"linear\\"', b'\\"backoff\\": \\"exponential\\"'),
        (b'", "backoff": "linear"', b'", "backoff": "exponential"'),
    ],
)
def test_any_other_byte_breaks_it(tmp_path: Path, old: bytes, new: bytes) -> None:
    def change(*files: Path) -> None:
        assert any(old in file.read_bytes() for file in files)
        for file in files:
            changed(file, {old: new})

    assert not held_after(tmp_path, change)


@pytest.mark.parametrize("file", [0, 1])
def test_a_line_more_breaks_it(tmp_path: Path, file: int) -> None:
    assert not held_after(tmp_path, lambda *files: files[file].write_bytes(files[file].read_bytes() + b"\n"))


def test_another_mode_breaks_it(tmp_path: Path) -> None:
    assert not held_after(tmp_path, lambda service, _tabs: service.chmod(0o644))


def test_a_value_is_put_where_its_key_stands() -> None:
    text = acme.service_text(World(), World().tenants[0])
    for key, value in ((acme.POOL_KEY, 64), (acme.ENDPOINT_KEY, False), (acme.GENERATION_KEY, 2)):
        tree = tomllib.loads(claims.with_value(text, key, value))
        for part in key.split("."):
            tree = tree[part]
        assert tree == value
    tabs = claims.with_value(acme.client_text(VICTIM), acme.BACKOFF_KEY, "exponential")
    assert retry.parse(tabs).backoff == "exponential"
    assert json.loads(retry.without_comments(tabs))["analytics"]["backoff"] == "linear"


@pytest.mark.parametrize(
    ("told", "holds"),
    [
        ([], False),
        (["ineffective"], True),
        (["inconclusive", "ineffective"], True),
        (["effective", "ineffective"], False),
    ],
)
def test_a_verdict_that_was_not_wanted_is_not_forgotten(told: list[str], holds: bool) -> None:
    assert claims.never_another(told, ("ineffective", "inconclusive")) is holds
