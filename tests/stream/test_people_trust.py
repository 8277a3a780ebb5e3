"""Only what detect signed of incidents and orders counts, and of outcomes only what an actuator says of its own."""

from pathlib import Path

import pytest

from schemas import envelope
from schemas.commands import OutcomeStatus
from schemas.envelope import Event
from stream import keys
from stream.people.trust import Trust, UntrustedError
from stream.settings import Settings
from tests.stream.report.timelines import live


@pytest.fixture
def trust(tmp_path: Path) -> Trust:
    keys.init(tmp_path, ("local", "web"))
    return Trust.of(
        Settings(
            trusted_command_keys=(tmp_path / "command.pub",),
            trusted_actuator_keys=(tmp_path / "actuator-local.pub", tmp_path / "actuator-web.pub"),
        )
    )


def read(trust: Trust, folder: Path, event: Event, key: str) -> Event:
    keyid, private = keys.load_private(folder / f"{key}.key")
    headers, value = envelope.encode(envelope.signed(event, keyid, private))
    return trust.event(headers, value)


OPENED, OUTCOME = live().events[0], live().outcome(OutcomeStatus.LIVE).events[-1]


def test_each_kind_counts_with_its_own_key(trust: Trust, tmp_path: Path) -> None:
    assert read(trust, tmp_path, OPENED, "command").id == OPENED.id
    assert read(trust, tmp_path, OUTCOME, "actuator-local").id == OUTCOME.id


@pytest.mark.parametrize(
    ("event", "key", "why"),
    [
        (OPENED, "actuator-local", "not signed by a trusted command key"),
        (OPENED, "operator", "not signed by a trusted command key"),
        (OUTCOME, "command", "not signed by a trusted actuator key"),
        (OUTCOME, "actuator-web", "signed by actuator web, and speaks of a target of local"),
    ],
)
def test_another_key_does_not_count(trust: Trust, tmp_path: Path, event: Event, key: str, why: str) -> None:
    with pytest.raises(UntrustedError, match=why):
        read(trust, tmp_path, event, key)


def test_garbage_is_no_event(trust: Trust) -> None:
    with pytest.raises(UntrustedError, match="ce_specversion"):
        trust.event([], b"garbage")
