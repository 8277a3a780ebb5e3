"""A claim of the demo breaks where what it says is not so."""

from collections.abc import Callable
from pathlib import Path

import pytest

from examples.acme import world as acme
from examples.acme.world import World
from stream.demo import claims
from stream.demo.play import Played, Snapshot
from stream.demo.scenario import SCENARIOS
from stream.demo.stage import Cast, Stage

WORLD = World()
VICTIM = WORLD.tenants[0]


def held_after(folder: Path, change: Callable[[Path], object]) -> bool:
    """Writes the world, grows the victim's pool as the scenario wants, does `change`, and asks the claim."""
    acme.write_world(folder / "world", WORLD)
    cast = Cast(VICTIM, SCENARIOS["pool"])
    stage = Stage(folder, "", "", WORLD, (cast,))
    before = Snapshot({}, {VICTIM.name: stage.owners(VICTIM.name)}, {}, {})
    file = stage.files(VICTIM.name)[0]
    file.write_bytes(file.read_bytes().replace(b"pool_size          = 32\t#", b"pool_size          = 64\t#"))
    change(file)
    return claims.only_that_value(stage, Played(cast, before, 0, {}, {})).holds


def test_the_one_value_alone_holds(tmp_path: Path) -> None:
    assert held_after(tmp_path, lambda _file: None)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"\t# connections", b" # connections"),
        (b"= 64\t", b"= 6_4\t"),
        (b"= 64\t", b"= 128\t"),
        (b"# yes, somebody chose that\n", b"# yes, somebody chose that\r\n"),
        (b"in this file first.\n", b"in this file first. \n"),
        (b'password  = "pool_size = 32"', b'password  = "pool_size = 64"'),
        (b"recommendations = true", b"recommendations = false"),
    ],
)
def test_any_other_byte_breaks_it(tmp_path: Path, old: bytes, new: bytes) -> None:
    def change(file: Path) -> None:
        assert old in file.read_bytes()
        file.write_bytes(file.read_bytes().replace(old, new))

    assert not held_after(tmp_path, change)


def test_a_line_more_breaks_it(tmp_path: Path) -> None:
    assert not held_after(tmp_path, lambda file: file.write_bytes(file.read_bytes() + b"\n"))


def test_another_mode_breaks_it(tmp_path: Path) -> None:
    assert not held_after(tmp_path, lambda file: file.chmod(0o644))


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
