"""The committed JSON Schemas say exactly what the models make."""

import json
import types
import typing
from enum import Enum
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from annotated_types import Gt
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic.fields import FieldInfo

from schemas import canonical, eventschema
from schemas.model import Model
from stream import control

FOLDER = Path(eventschema.__file__).parent / "jsonschema"
NAMES = sorted(eventschema.EVENTS)
LONG = 2**63 - 1


def committed(name: str) -> dict[str, Any]:
    schema: dict[str, Any] = json.loads((FOLDER / eventschema.file_name(name)).read_text(encoding="utf-8"))
    return schema


def checker(name: str) -> jsonschema.Draft202012Validator:
    return jsonschema.Draft202012Validator(committed(name))


def made(model: type[Model]) -> st.SearchStrategy[Model]:
    """Any value of the model; a field with a default may be left to it."""
    chosen = {name: value(field.annotation, field) for name, field in model.model_fields.items()}
    required = {name: chosen[name] for name, field in model.model_fields.items() if field.is_required()}
    optional = {name: chosen[name] for name in chosen.keys() - required.keys()}
    return st.fixed_dictionaries(required, optional=optional).map(lambda fields: model(**fields))


def value(kind: Any, field: FieldInfo | None = None) -> st.SearchStrategy[Any]:
    origin, inner = typing.get_origin(kind), typing.get_args(kind)
    if origin is typing.Annotated:
        return value(inner[0])
    if origin in (typing.Union, types.UnionType):
        return st.one_of([value(one) for one in inner])
    if origin is typing.Literal:
        return st.sampled_from(inner)
    if origin is tuple:
        return st.lists(value(inner[0]), max_size=2).map(tuple)
    if origin is dict:
        return st.dictionaries(st.text(max_size=5), value(inner[1]), max_size=2)
    if kind is int:
        positive = field is not None and any(isinstance(one, Gt) for one in field.metadata)
        return st.integers(1 if positive else -LONG, LONG)
    if issubclass(kind, Enum):
        return st.sampled_from(kind)
    if issubclass(kind, Model):
        return made(kind)
    return {str: st.text(max_size=8), bool: st.booleans(), type(None): st.none()}[kind]


def test_committed_schemas_equal_the_models() -> None:
    """After a change of a model: python -m schemas.jsonschema."""
    assert sorted(path.name for path in FOLDER.glob("*.json")) == [eventschema.file_name(name) for name in NAMES]
    for name in NAMES:
        assert (FOLDER / eventschema.file_name(name)).read_text(encoding="utf-8") == eventschema.file_text(name), name


@pytest.mark.parametrize("name", NAMES)
def test_schemas_are_valid_and_say_what_they_are_for(name: str) -> None:
    schema = committed(name)
    jsonschema.Draft202012Validator.check_schema(schema)
    assert schema["$id"] == f"dev.douse.{name}"
    assert schema["title"] and schema["description"]


@pytest.mark.parametrize("name", NAMES)
def test_every_event_that_a_model_makes_is_valid_and_reads_back(name: str) -> None:
    model, check = eventschema.EVENTS[name], checker(name)

    @settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck))
    @given(made(model))
    def holds(event: Model) -> None:
        data = canonical.loads(canonical.dumps(event.fields()))
        check.validate(data)
        assert model.read(data).fields() == data

    holds()


@pytest.mark.parametrize("name", NAMES)
def test_unknown_and_missing_fields_are_refused(name: str) -> None:
    model, check = eventschema.EVENTS[name], checker(name)

    @settings(max_examples=5, deadline=None, suppress_health_check=list(HealthCheck))
    @given(made(model))
    def holds(event: Model) -> None:
        data = event.fields()
        assert not check.is_valid(data | {"surprise": 1})
        for field in [one for one, info in model.model_fields.items() if info.is_required()]:
            assert not check.is_valid({key: kept for key, kept in data.items() if key != field}), field

    holds()


def test_the_control_schemas_hold_for_what_the_operator_s_commands_publish() -> None:
    kill = control.Kill(scope="global", on=True, by="ops", reason="drill", time_ms=1)
    checker("control.kill").validate(dict(control.kill_event(kill)[1].data))
    specs = control.SpecSet(slos=())
    checker("control.specs").validate(dict(control.specs_event(specs, 1)[1].data))


def test_text_under_a_field_is_its_description() -> None:
    recovered = committed("incident.verdict")["properties"]["recovered_s"]
    assert "clean seconds" in recovered["description"]
    tier = committed("incident.verdict")["$defs"]["TierBurn"]["properties"]["long_milli"]
    assert "thousandths" in tier["description"]
