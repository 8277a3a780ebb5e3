"""A JSON Schema for the data of every event, made from the models: what other systems check what they read against.

`python -m schemas.jsonschema` writes them; a test holds the committed files against the models.
"""

import ast
import inspect
import json
from collections.abc import Mapping
from textwrap import dedent
from typing import Any

from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue

from schemas.commands import Command, Outcome
from schemas.control import ChangeReverted, KillDecided, PlanDecided, SpecsDecided, TargetThawed
from schemas.envelope import TYPE_PREFIX
from schemas.events import INCIDENT_EVENTS, Heartbeat, Status
from schemas.fleet import Storm
from schemas.model import Model

DIALECT = "https://json-schema.org/draft/2020-12/schema"
EVENTS: Mapping[str, type[Model]] = {
    **{f"incident.{name}": model for name, model in INCIDENT_EVENTS.items()},
    "command": Command,  # dev.douse.command.{apply,confirm,revert} share one form, which names its kind
    "outcome": Outcome,
    "control.specs": SpecsDecided,
    "control.kill": KillDecided,
    "control.plan": PlanDecided,
    "control.revert": ChangeReverted,
    "control.thaw": TargetThawed,
    "fleet.storm": Storm,
    "status": Status,
    "heartbeat": Heartbeat,
}


class _Described(GenerateJsonSchema):
    """Takes the text under each field into its schema."""

    def model_schema(self, schema: Any) -> JsonSchemaValue:
        """The schema of one model."""
        made = super().model_schema(schema)
        for name, text in field_texts(schema["cls"]).items():
            made["properties"][name].setdefault("description", text)
        return made


def of(name: str) -> dict[str, Any]:
    """The schema of the event `name`, a key of EVENTS. Fields that are None are left out on the wire, so they are not
    required."""
    model = EVENTS[name]
    body = model.model_json_schema(schema_generator=_Described)
    text = " ".join((inspect.getdoc(model) or "").split())
    head = {"$schema": DIALECT, "$id": f"{TYPE_PREFIX}{name}", "title": model.__name__, "description": text}
    return head | {key: value for key, value in body.items() if key not in head}


def file_name(name: str) -> str:
    return f"{name}.json"


def file_text(name: str) -> str:
    """The committed file of an event; the same models give the same bytes."""
    return json.dumps(of(name), indent=2, ensure_ascii=False) + "\n"


def field_texts(model: type[Any]) -> dict[str, str]:
    """The string under each field of the class and of those that it comes from, in one line each."""
    texts: dict[str, str] = {}
    for part in reversed(model.__mro__):
        if issubclass(part, Model) and part is not Model:
            texts |= _own_texts(part)
    return texts


def _own_texts(model: type[Any]) -> dict[str, str]:
    parsed = ast.parse(dedent(inspect.getsource(model))).body[0]
    assert isinstance(parsed, ast.ClassDef)
    texts = {}
    for field, below in zip(parsed.body, parsed.body[1:], strict=False):
        match field, below:
            case ast.AnnAssign(target=ast.Name(id=name)), ast.Expr(value=ast.Constant(value=str(text))):
                texts[name] = " ".join(text.split())
            case _:
                pass
    return texts
