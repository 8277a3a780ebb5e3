"""`actuator.toml` is read strictly, and a fault is named with its line."""

import re

import pytest

from schemas import actuator
from schemas.actuator import NotAnActuator

GOOD = """name = "acme"
ledger = "acme.ledger"

[[allow]]
tenant = "acme-corp"
mitigations = ["raise-pool"]

[[targets]]
id = "acme-pool"
tenants = ["acme-corp"]
parameter = "pool_size"
file = "config/acme.toml"
key = "database.replica.pool_size"
minimum = 8
maximum = 64

[[targets.processes]]
name = "service"
pid_file = "run/service.pid"
probe_url = "http://127.0.0.1:8081/config"
probe_field = "pool_size"

[[targets.processes]]
name = "worker"
pid_file = "run/worker.pid"
signal = "SIGUSR1"
probe_url = "http://127.0.0.1:8082/config"
probe_field = "pool_size"
"""


def test_a_good_file_is_read_with_its_defaults() -> None:
    read = actuator.parse(GOOD, "actuator.toml")
    target = read.target("acme-pool")
    assert target is not None
    assert [process.signal for process in target.processes] == ["SIGHUP", "SIGUSR1"]
    assert (target.environment, target.live_ms_max, read.applies_per_hour) == ("default", 3_000, 10)
    assert read.target("other") is None


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        (
            'signal = "SIGUSR1"',
            'signal = "SIGKILL"',
            "a.toml:26: targets.0.processes.1.signal: Input should be 'SIGHUP'",
        ),
        ("minimum = 8", "minimum = 80", "a.toml:8: targets.0: minimum 80 is above maximum 64"),
        ("minimum = 8", 'minimum = "8"', "a.toml:14: targets.0.minimum: Input should be a valid integer"),
        ("minimum = 8", "minimum = 8.5", "a.toml:14: targets.0.minimum: a whole number is expected"),
        ("minimum = 8", "minimun = 8", "a.toml:14: targets.0.minimun: there is no such field"),
        ('tenants = ["acme-corp"]', "tenants = []", "a.toml:10: targets.0.tenants: Tuple should have at least 1 item"),
        ('name = "worker"', 'name = "service"', "a.toml:8: targets.0: two processes have the same name"),
        (
            'probe_url = "http://127.0.0.1:8082/config"',
            'probe_url = "file:///etc/passwd"',
            "a.toml:27: targets.0.processes.1.probe_url: expected an http or https URL",
        ),
        ('file = "config/acme.toml"\n', "", "a.toml:8: targets.0.file: Field required"),
        (
            'file = "config/acme.toml"',
            'file = "config/acme.ini"',
            "a.toml:12: targets.0.file: 'config/acme.ini' ends in none of .toml, .json, .jsonc, .yaml, .yml",
        ),
        (
            '"config/acme.toml"',
            '"config/../../etc/acme.toml"',
            "a.toml:12: targets.0.file: 'config/../../etc/acme.toml'",
        ),
        ('"config/acme.toml"', '"config/.toml"', "a.toml:12: targets.0.file: 'config/.toml' ends in none of"),
        (
            'key = "database.replica.pool_size"',
            'key = "database.replica[0]"',
            "a.toml:13: targets.0.key: 'database.replica[0]' is not a dotted path like database.pool_size",
        ),
        ('["acme-corp"]\nparameter', '["*"]\nparameter', "a.toml:10: targets.0.tenants.0: '*' has a wildcard"),
        ('["raise-pool"]', '["raise-pool", "raise-*"]', "a.toml:6: allow.0.mitigations.1: 'raise-*' has a wildcard"),
        ('tenant = "acme-corp"', 'tenant = "*"', "a.toml:5: allow.0.tenant: '*' has a wildcard, which is not read"),
        (
            "minimum = 8\nmaximum = 64",
            "live_ms_max = 1000",
            "a.toml:8: targets.0: nothing could be set: a number needs minimum and maximum",
        ),
        ('name = "acme"\n', "", "a.toml:1: name: Field required"),
        ("[[allow]]", "[[allow]", "a.toml: not TOML: "),
    ],
)
def test_a_fault_names_file_line_field_and_what_would_be_right(old: str, new: str, says: str) -> None:
    assert old in GOOD
    with pytest.raises(NotAnActuator, match=re.escape(says)):
        actuator.parse(GOOD.replace(old, new, 1), "a.toml")


@pytest.mark.parametrize("file", ["a.toml", "conf/a.json", "/etc/shop/a.jsonc", "a.yaml", "a.b.YML"])
def test_files_of_every_format_are_read(file: str) -> None:
    text = GOOD.replace("config/acme.toml", file).replace('signal = "SIGUSR1"', 'signal = "none"')
    target = actuator.parse(text.replace('"database.replica.pool_size"', "'a.\"b.c\"'"), "actuator.toml").targets[0]
    assert (target.file, target.key) == (file, 'a."b.c"')
    assert target.processes[1].signal == actuator.NO_SIGNAL


@pytest.mark.parametrize("choices", [("linear", "exponential"), (True, False)])
def test_a_string_or_boolean_has_choices_in_place_of_bounds(choices: tuple[str | bool, ...]) -> None:
    written = ", ".join(f'"{choice}"' if isinstance(choice, str) else str(choice).lower() for choice in choices)
    text = GOOD.replace("minimum = 8\nmaximum = 64", f"choices = [{written}]")
    assert actuator.parse(text, "actuator.toml").targets[0].choices == choices


def test_all_faults_are_named_at_once() -> None:
    with pytest.raises(NotAnActuator) as error:
        actuator.parse(
            GOOD.replace("minimum = 8", "minimum = true")
            .replace("maximum = 64", "")
            .replace('id = "acme-pool"', 'id = ""'),
            "a",
        )
    assert len(str(error.value).splitlines()) == 2
