"""The command line: what is said to a person, what to a program, and with which exit code."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from stream import cli, keys
from stream.demo.scenario import SCENARIOS

EXAMPLE = Path(__file__).parents[2] / "examples" / "acme" / "specs"
NOWHERE = "127.0.0.1:1"  # a port of the system that nobody serves
COMMANDS = (
    "run", "ingest", "detect", "act", "broker", "topics create", "specs check", "specs apply", "incidents", "report",
    "keys init", "keys add", "keys show", "kill on", "kill off", "kill show", "state rebase", "demo", "suggestions",
    "approve", "reject", "revert", "thaw", "changes", "watch", "topics check", "doctor", "dead-letter list",
    "dead-letter show", "dead-letter requeue",
)  # fmt: skip


@pytest.fixture(autouse=True)
def work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")
    return tmp_path


def douse(*arguments: str, **environment: str) -> Result:
    return CliRunner().invoke(cli.app, list(arguments), env=environment)


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help_with_an_example(command: str) -> None:
    result = douse(*command.split(), "--help")
    assert result.exit_code == 0
    assert f"douse {command}" in result.output.replace("douse --config /etc/douse.toml", "douse")


def test_the_help_begins_with_what_is_needed_first() -> None:
    text = douse("--help").output
    first = ["run", "demo", "specs", "watch", "incidents", "suggestions", "approve", "revert", "kill", "keys"]
    places = [text.index(f"│ {word} ") for word in first]
    assert places == sorted(places)
    assert "130 Ctrl-C" in " ".join(text.split())


def test_the_demo_lists_its_scenarios_and_exit_codes() -> None:
    text = " ".join(douse("demo", "--help").output.split())
    assert all(name in text for name in SCENARIOS)
    assert "1 one was not" in text


def test_help_imports_nothing_heavy() -> None:
    code = (
        "import sys; import stream.cli; "
        "print([name for name in ('aiokafka', 'faust', 'numpy', 'pydantic', 'cryptography') if name in sys.modules])"
    )
    root = Path(cli.__file__).parents[1]
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=root)
    assert done.stdout == "[]\n"


def test_good_specs_are_shown_to_people_and_to_programs() -> None:
    result = douse("specs", "check", str(EXAMPLE))
    assert result.exit_code == 0
    assert "shop-availability" in result.stdout
    assert "99.9 %" in result.stdout
    read = json.loads(douse("specs", "check", str(EXAMPLE), "--json").stdout)
    assert read["ok"]
    assert [slo["name"] for slo in read["specs"]["slos"]] == ["shop-availability", "shop-latency"]


def test_bad_specs_name_every_mistake_and_end_with_78(work: Path) -> None:
    folder = work / "specs"
    folder.mkdir()
    (folder / "slos.yaml").write_text((EXAMPLE / "slos.yaml").read_text().replace("target: 0.999", "target: 1.5"))
    (folder / "limits.yaml").write_text("apiVersion: douse/v1\nkind: Limits\nspec: {cooldown: 60}\n")
    result = douse("specs", "check", str(folder))
    assert result.exit_code == 78
    first, second, *_ = result.stdout.splitlines()
    assert first.startswith("limits.yaml:3: spec.cooldown: is not a known field (did you mean 'cooldown_s'?)")
    assert second == "slos.yaml:32: spec.objectives[0].target: 1.5 is not below 1; write 0.999"
    assert result.stderr == f"douse: 2 to mend in {folder}; nothing was changed\n"
    read = json.loads(douse("specs", "check", str(folder), "--json").stdout)
    assert read["problems"][1] == {
        "field": "spec.objectives[0].target",
        "file": "slos.yaml",
        "line": 32,
        "text": "1.5 is not below 1; write 0.999",
    }


def test_keys_are_made_once_and_shown() -> None:
    assert douse("keys", "init", "--actuator", "web").exit_code == 0
    again = douse("keys", "init", "--actuator", "web")
    assert again.exit_code == 78
    assert "already there, and a key is never overwritten" in again.stderr
    shown = json.loads(douse("keys", "show", "--json").stdout)
    assert [Path(each["path"]).name for each in shown if each["private"]] == [
        "actuator-web.key",
        "command.key",
        "operator.key",
    ]


def test_a_wrong_setting_ends_a_command_before_it_begins(work: Path) -> None:
    (work / "douse.toml").write_text("tick_ms = 1\n")
    result = douse("incidents")
    assert result.exit_code == 78
    assert result.stderr == "douse: douse.toml:1: tick_ms: 1 is not between 50 and 1000; write e.g. 250\n"


@pytest.mark.parametrize(
    "arguments",
    [
        *(["incidents"], ["kill", "show"], ["specs", "apply", str(EXAMPLE)], ["topics", "create"], ["run"], ["ingest"]),
        *(["suggestions"], ["changes"], ["watch"], ["watch", "--once"], ["approve", "4f21"]),
        *(["reject", "4f21", "--reason", "x"], ["revert", "4f21", "--reason", "x"], ["thaw", "pool", "--reason", "x"]),
    ],
)
def test_without_a_broker_a_command_says_so_and_ends_with_69(arguments: list[str]) -> None:
    keys.init(Path("keys"))
    result = douse(*arguments, "--wait", "0.2", DOUSE_BOOTSTRAP=NOWHERE)
    assert result.exit_code == 69
    said = result.stderr.splitlines()
    assert said[0] == f"douse: no broker at {NOWHERE} yet; trying again for 0.2 s"
    assert said[1].startswith(f"douse: no broker answered at {NOWHERE} within 0.2 s; start one")
    assert len(said) == 2


@pytest.mark.parametrize(
    "arguments",
    [
        ["kill", "on"],
        ["kill", "on", "--reason", "x", "--tenant", "a", "--mitigation", "b"],
        ["kill", "on", "--reason", "x", "--tenant", ""],
        ["kill", "on", "--reason", "x", "--environment", "demo"],
        ["kill", "off", "--reason", "x", "--environment", "demo"],
        ["state", "rebase"],
        ["state", "rebase", "--shard", "16"],
        ["approve"],
        ["approve", "4f21", "--for", "0m"],
        ["approve", "4f21", "--for", "ten"],
        ["reject", "4f21"],
        ["reject", "4f21", "--reason", " "],
        ["revert", "4f21"],
        ["revert", "4f21", "--reason", "x" * 1_001],
        ["thaw", "acme-pool", "--reason", ""],
        ["nonsense"],
    ],
)
def test_wrong_usage_ends_with_2(arguments: list[str]) -> None:
    keys.init(Path("keys"))
    assert douse(*arguments).exit_code == 2


@pytest.mark.broker
def test_the_way_of_an_operator_on_a_real_broker(bootstrap: str, prefix: str) -> None:
    keys.init(Path("keys"))
    at = {"DOUSE_BOOTSTRAP": bootstrap, "DOUSE_TOPIC_PREFIX": prefix, "DOUSE_SHARDS": "2"}
    missing = douse("specs", "apply", str(EXAMPLE), **at)
    assert missing.exit_code == 78
    assert f"topic {prefix}douse.control is not there" in missing.stderr
    assert "`douse topics create`" in missing.stderr
    assert douse("topics", "create", **at).exit_code == 0
    assert "OTLP" in douse("ingest", **at).stderr
    applied = [json.loads(douse("specs", "apply", str(EXAMPLE), "--json", **at).stdout) for _ in range(2)]
    assert [each["changed"] for each in applied] == [True, False]
    typo = douse("kill", "on", "--tenant", "acme-crop", "--reason", "migration", **at)
    assert typo.exit_code == 78
    assert "did you mean 'acme-corp'?" in typo.stderr
    on = douse("kill", "on", "--tenant", "acme-corp", "--reason", "migration", **at)
    assert on.stdout == "kill switch tenant:demo:acme-corp is ON: nothing is applied there; reverts go on\n"
    assert douse("kill", "on", "--mitigation", "resize", "--reason", "x", **at).exit_code == 78
    assert douse("kill", "on", "--mitigation", "resize", "--reason", "x", "--force", **at).exit_code == 0
    elsewhere = ["--tenant", "acme-crop", "--environment", "prod", "--reason", "meant so"]
    assert "tenant:prod:acme-crop" in douse("kill", "on", *elsewhere, **at).stdout
    off = douse("kill", "off", "--tenant", "acme-corp", "--reason", "done", **at)
    assert off.stdout == "kill switch tenant:demo:acme-corp is off\n"
    assert douse("kill", "off", "--tenant", "acme-corp", "--reason", "done", **at).exit_code == 78
    (switch,) = json.loads(douse("kill", "on", "--reason", "storm", "--json", **at).stdout)
    assert (switch["scope"], switch["on"], switch["reason"]) == ("global", True, "storm")
    switches = json.loads(douse("kill", "show", "--json", **at).stdout)
    assert [(each["scope"], each["on"], each["reason"]) for each in switches] == [
        ("global", True, "storm"),
        ("mitigation:resize", True, "x"),
        ("tenant:demo:acme-corp", False, "done"),
        ("tenant:prod:acme-crop", True, "meant so"),
    ]
    assert douse("incidents", **at).stdout == "no incidents\n"
    assert douse("suggestions", **at).stdout == "no suggestion waits\n"
    assert douse("changes", **at).stdout == "no change stands\n"
    unknown = douse("thaw", "acme-poll", "--reason", "looked at it", **at)
    assert unknown.exit_code == 78
    assert "did you mean 'acme-" in unknown.stderr
    explained = douse("state", "rebase", "--shard", "1", **at)
    assert explained.exit_code == 0
    assert explained.stdout.endswith("Nothing was written; add --yes to do it.\n")
