"""Before a yes: the diff that act itself would make, from the same rules, and nothing is touched."""

from pathlib import Path

import pytest

from schemas import actuator
from schemas.events import StepRow, Suggested
from schemas.runbook import Action, Autonomy, Scale, Set
from stream.people import preview
from stream.people.preview import Preview
from stream.settings import Settings

RULES = """
name = "acme"
ledger = "acme.ledger"

[[allow]]
tenant = "acme-corp"
mitigations = ["raise-pool"]

[[targets]]
id = "acme-pool"
tenants = ["acme-corp"]
parameter = "pool_size"
file = "service.toml"
key = "db.pool_size"
minimum = 8
maximum = 64

[[targets.processes]]
name = "service"
pid_file = "service.pid"
probe_url = "http://127.0.0.1:1/config"
probe_field = "pool_size"
"""


@pytest.fixture
def host(tmp_path: Path) -> Path:
    assert actuator.parse(RULES, "actuator.toml").name == "acme"
    (tmp_path / "actuator.toml").write_text(RULES)
    (tmp_path / "service.toml").write_text('[db]\npool_size = 32 # see wiki\npassword = "hunter2"\n')
    return tmp_path


def one(host: Path, action: Action, actuator_name: str = "acme", **fields: str) -> Preview:
    row = {"command": "c1", "mitigation": "raise-pool", "target": "acme-pool", "parameter": "pool_size"}
    step = StepRow(actuator=actuator_name, action=action, minimum=4, maximum=128, **(row | fields))
    told = Suggested(
        incident="i1",
        sequence=0,
        shard=0,
        journal_offset=1,
        index=0,
        environment="default",
        tenant="acme-corp",
        service="shop",
        slo="availability",
        at_ms=1,
        plan="p1",
        cause="pool_exhausted",
        autonomy=Autonomy.APPROVE,
        steps=(step,),
    )
    (found,) = preview.preview(Settings(actuator_file=host / "actuator.toml"), told)
    return found


def test_the_diff_is_shown_and_nothing_is_touched(host: Path) -> None:
    before = {path.name: path.read_bytes() for path in host.iterdir()}
    found = one(host, Scale(numerator=2))
    assert "-pool_size = 32 # see wiki" in found.diff
    assert "+pool_size = 64 # see wiki" in found.diff
    assert {path.name: path.read_bytes() for path in host.iterdir()} == before


def test_a_secret_beside_the_value_is_not_shown(host: Path) -> None:
    assert "hunter2" not in one(host, Scale(numerator=2)).diff


@pytest.mark.parametrize(
    ("action", "fields", "why"),
    [
        (Scale(numerator=8), {}, "act would refuse now: out_of_bounds: 256 is not within 8 to 64"),
        (Set(value=32), {}, "act would refuse now: no_change"),
        (Scale(numerator=2), {"mitigation": "other"}, "act would refuse now: mitigation_not_allowed"),
        (Scale(numerator=2), {"target": "else"}, "actuator acme has no target else"),
        (Scale(numerator=2), {"actuator_name": "web-7"}, "where actuator web-7 runs: not on this host"),
    ],
)
def test_what_act_would_refuse_is_told_before(host: Path, action: Action, fields: dict[str, str], why: str) -> None:
    found = one(host, action, **fields)
    assert why in found.why_not
    assert not found.diff


def test_a_host_without_an_actuator_says_where_the_diff_is(tmp_path: Path) -> None:
    assert "where actuator acme runs" in one(tmp_path, Scale(numerator=2)).why_not


def test_a_missing_file_or_broken_rules_are_a_reason_and_no_crash(host: Path) -> None:
    (host / "service.toml").unlink()
    assert "unreadable" in one(host, Scale(numerator=2)).why_not
    (host / "actuator.toml").write_text("name = 1\n")
    assert "actuator.toml" in one(host, Scale(numerator=2)).why_not
