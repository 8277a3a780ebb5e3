"""Settings come from one file and the environment, and a wrong one says where it is and what would be right."""

from dataclasses import FrozenInstanceError, fields
from pathlib import Path

import pytest

from stream import settings
from stream.settings import Settings

DOCUMENT = Path(__file__).parents[2] / "docs" / "settings.md"


def refused(environment: dict[str, str], config: Path | None = None) -> list[str]:
    with pytest.raises(settings.BadSettingsError) as caught:
        settings.load(environment, config)
    return [str(problem) for problem in caught.value.problems]


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Path of a settings file that is not there yet, in an otherwise empty working folder."""
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    return tmp_path / "conf" / "douse.toml"


def write(file: Path, text: str) -> Path:
    file.parent.mkdir()
    file.write_text(text)
    return file


@pytest.mark.usefixtures("file")
def test_without_a_file_and_variables_the_defaults_hold() -> None:
    assert settings.load({"PATH": "/bin", "DOUSE_CACHE": "x"}) == Settings()


def test_the_environment_wins_over_the_file(file: Path) -> None:
    write(file, 'bootstrap = "a:1"\nshards = 4\ntick_ms = 500\n')
    found = settings.load({"DOUSE_SHARDS": "8", "DOUSE_CONFIG": str(file)})
    assert (found.bootstrap, found.shards, found.tick_ms) == ("a:1", 8, 500)


def test_the_named_file_wins_over_the_variable_and_the_working_folder(file: Path) -> None:
    Path("douse.toml").write_text("shards = 1\n")
    assert settings.load({}).shards == 1
    other = file.parent.parent / "other.toml"
    other.write_text("shards = 2\n")
    write(file, "shards = 3\n")
    assert settings.load({"DOUSE_CONFIG": str(other)}).shards == 2
    assert settings.load({"DOUSE_CONFIG": str(other)}, file).shards == 3


def test_paths_of_the_file_start_at_its_folder_and_key_files_in_the_key_folder(file: Path) -> None:
    write(file, 'keys_folder = "secret"\ntrusted_actuator_keys = ["a.pub", "/b.pub"]\n')
    found = settings.load({"DOUSE_DATA_FOLDER": "here"}, file)
    assert found.keys_folder == file.parent / "secret"
    assert found.operator_key_file == file.parent / "secret" / "operator.key"
    assert found.trusted_command_keys == (file.parent / "secret" / "command.pub",)
    assert found.trusted_actuator_keys == (file.parent / "a.pub", Path("/b.pub"))
    assert found.data_folder == Path("here")
    assert found.actuator_file == file.parent / "actuator.toml"


def test_lists_in_the_environment_are_separated_by_commas() -> None:
    found = settings.load({"DOUSE_TRUSTED_OPERATOR_KEYS": "a.pub, b.pub"})
    assert found.trusted_operator_keys == (Path("a.pub"), Path("b.pub"))


def test_all_mistakes_of_a_file_are_named_with_their_lines(file: Path) -> None:
    write(
        file,
        'bootstrap = "kafka"\n\nshard = 4\ntick_ms = 10\nsnapshot_s = "30"\nstart_from = "newest"\nlog_level = "inof"\n'
        'trusted_operator_keys = "a.pub"\n[kafka]\nx = 1\n',
    )
    lines = [line.removeprefix(f"{file}:") for line in refused({}, file)]
    known = ", ".join(each.name for each in fields(Settings))
    assert lines == [
        "1: bootstrap: 'kafka' is not of the form that Kafka takes; write e.g. '127.0.0.1:9092'",
        f"3: shard: is not a setting (did you mean 'shards'?); known are {known}",
        "4: tick_ms: 10 is not between 50 and 1000; write e.g. 250",
        "5: snapshot_s: '30' is not a whole number; write e.g. 30",
        "6: start_from: 'newest' is not one of latest, earliest, nor a time with its zone, as 2026-11-24T18:00:00Z",
        "7: log_level: 'inof' is not one of debug, info, warning, error, critical (did you mean 'info'?)",
        "8: trusted_operator_keys: 'a.pub' is not a list of paths; write e.g. [\"keys/operator.pub\"]",
        f"9: kafka: is not a setting; known are {known}",
    ]


@pytest.mark.parametrize(("text", "value"), [("false", False), ("True", True), (" FALSE ", False)])
def test_a_switch_is_true_or_false_in_the_environment(text: str, value: bool) -> None:
    assert settings.load({"DOUSE_LOGS": text}).logs is value


def test_a_switch_is_true_or_false_in_a_file(file: Path) -> None:
    write(file, "logs = false\n")
    assert settings.load({}, file).logs is False


def test_what_only_looks_like_a_switch_is_refused(file: Path) -> None:
    write(file, 'logs = "false"\n')
    (line,) = refused({}, file)
    assert line.endswith("1: logs: 'false' is neither true nor false; write e.g. true")
    assert refused({"DOUSE_LOGS": "no"}) == ["environment: DOUSE_LOGS: 'no' is neither true nor false; write e.g. true"]


def test_a_wrong_variable_is_named() -> None:
    assert refused({"DOUSE_SHARDS": "many", "DOUSE_SHARD": "4", "DOUSE_TOPIC_PREFIX": "a b"}) == [
        "environment: DOUSE_SHARD: is not a setting (did you mean 'DOUSE_SHARDS'?); docs/settings.md has them all",
        "environment: DOUSE_SHARDS: 'many' is not a whole number; write e.g. 16",
        "environment: DOUSE_TOPIC_PREFIX: 'a b' is not of the form that Kafka takes; write e.g. 'team-a.'",
    ]


def test_a_file_that_is_missing_or_no_toml_is_named(file: Path) -> None:
    (line,) = refused({}, file)
    assert line.startswith(f"{file}: is not there")
    write(file, "shards = 4\ntick_ms = \n")
    (line,) = refused({}, file)
    assert line.startswith(f"{file}:2: not TOML: Invalid value")


def test_a_heartbeat_must_fit_into_the_session_three_times() -> None:
    (line,) = refused({"DOUSE_SESSION_S": "6"})
    assert line == "environment: heartbeat_s: 3 is more than a third of session_s (6); write 2"


def test_settings_never_change() -> None:
    with pytest.raises(FrozenInstanceError):
        Settings().shards = 4  # type: ignore[misc]  # the very point


def test_every_setting_has_a_rule_and_a_default_that_keeps_it() -> None:
    assert list(settings.RULES) == [each.name for each in fields(Settings)]
    for each in fields(Settings):
        rule = settings.RULES[each.name]
        assert rule.text.endswith(".")
        assert not rule.most or rule.least <= getattr(Settings(), each.name) <= rule.most
        assert not rule.options or getattr(Settings(), each.name) in rule.options


def test_the_page_about_settings_is_true() -> None:
    assert DOCUMENT.read_text() == settings.documentation(), "python -m stream.settings > docs/settings.md"


@pytest.mark.parametrize("text", ["latest", "earliest", "2026-11-24T18:00:00Z", "2026-11-24T19:00:00.5+01:00"])
def test_reading_starts_at_either_end_or_at_a_time_with_its_zone(text: str) -> None:
    assert settings.load({"DOUSE_START_FROM": text}).start_from == text


@pytest.mark.parametrize("text", ["2026-11-24T18:00:00", "2026-13-01T00:00:00Z", "yesterday", "1795494266"])
def test_a_time_without_a_zone_or_a_calendar_is_refused(text: str) -> None:
    assert "nor a time with its zone, as 2026-11-24T18:00:00Z" in refused({"DOUSE_START_FROM": text})[0]


def test_topics_are_names_or_expressions_that_begin_with_a_circumflex() -> None:
    made = settings.load({"DOUSE_SPANS_TOPICS": "traces, ^shop[.].*"})
    assert made.spans_topics == ("traces", "^shop[.].*")
    assert "'a b' is no name of a topic" in refused({"DOUSE_LOGS_TOPICS": "a b"})[0]
    assert "'^(' is not a regular expression" in refused({"DOUSE_LOGS_TOPICS": "^("})[0]
    assert "is not one of otlp_proto, otlp_json" in refused({"DOUSE_LOGS_ENCODING": "json"})[0]
