"""`actuator.toml`: what one actuator may touch, for whom, within which limits; the only place where paths and URLs
stand.

name = "acme"
ledger = "acme.ledger"                      # relative paths start at this file's folder
command_keys = ["keys/command.pub"]
operator_keys = ["keys/operator.pub"]       # whose kill switch counts

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
"""

import re
import tomllib
from collections.abc import Iterator
from pathlib import PurePath
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, ValidationError, field_validator, model_validator

from schemas import keypath
from schemas.identity import DEFAULT_ENVIRONMENT
from schemas.model import Model

Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$", max_length=100)]
Text = Annotated[str, Field(min_length=1, max_length=4096)]
SUFFIXES = (".toml", ".json", ".jsonc", ".yaml", ".yml")
"""What the name of an edited file ends in: its format goes by it."""
NO_SIGNAL: Literal["none"] = "none"


def _no_wildcard(name: str) -> str:
    if "*" in name:
        raise ValueError(f"{name!r} has a wildcard, which is not read; name each one")
    return name


Exact = Annotated[Text, AfterValidator(_no_wildcard)]


class NotAnActuator(ValueError):
    """The file is not usable; the text has a line for each fault: file, line, field, what would be right."""


class Process(Model):
    """One process that reads the target's file: how it is told to read it again, where it says what it runs with."""

    name: Name
    pid_file: Text
    signal: Literal["SIGHUP", "SIGUSR1", "SIGUSR2", "none"] = "SIGHUP"
    """`none` for a process that watches its file itself."""
    probe_url: Annotated[str, Field(pattern=r"^https?://[^/@\s]+(/\S*)?$")]
    probe_field: Text
    """Dotted path to the running value in the JSON that the URL answers with."""


class FileTarget(Model):
    """One value in one file, and every process that runs with it."""

    id: Name
    environment: Text = DEFAULT_ENVIRONMENT
    tenants: Annotated[tuple[Exact, ...], Field(min_length=1)]
    """Every tenant whose traffic depends on it: a command for another tenant is refused."""
    parameter: Text
    file: Text
    key: Text
    minimum: int = 0
    maximum: int = 0
    choices: tuple[str | bool, ...] = ()
    """Values that a string or a boolean may be set to; numbers go by minimum and maximum."""
    processes: Annotated[tuple[Process, ...], Field(min_length=1, max_length=64)]
    live_ms_max: Annotated[int, Field(gt=0, le=600_000)] = 3_000
    """A process that does not report the new value by then has not taken it over."""

    @field_validator("file")
    @classmethod
    def _format_known(cls, file: str) -> str:
        if PurePath(file).suffix.lower() not in SUFFIXES:
            raise ValueError(f"{file!r} ends in none of {', '.join(SUFFIXES)}: no other format is edited")
        if ".." in PurePath(file).parts:
            raise ValueError(f"{file!r} leads out of its folder again; name the file without '..'")
        return file

    @field_validator("key")
    @classmethod
    def _key_is_path(cls, key: str) -> str:
        if not keypath.read(key):
            raise ValueError(f'{key!r} is not a dotted path like database.pool_size or a."b.c"')
        return key

    @model_validator(mode="after")
    def _bounds_in_order(self) -> "FileTarget":
        if self.minimum > self.maximum:
            raise ValueError(f"minimum {self.minimum} is above maximum {self.maximum}")
        if not self.choices and not {"minimum", "maximum"} & self.model_fields_set:
            raise ValueError("nothing could be set: a number needs minimum and maximum, a string or boolean choices")
        if len({process.name for process in self.processes}) < len(self.processes):
            raise ValueError("two processes have the same name")
        return self


class Allow(Model):
    """Leave for one tenant; what is not named here is refused."""

    environment: Text = DEFAULT_ENVIRONMENT
    tenant: Exact
    mitigations: tuple[Exact, ...]


class Actuator(Model):
    """The whole file."""

    name: Name
    ledger: Text
    command_keys: tuple[Text, ...] = ()
    operator_keys: tuple[Text, ...] = ()
    allow: tuple[Allow, ...] = ()
    applies_per_hour: Annotated[int, Field(ge=0)] = 10
    """Over all targets of this actuator."""
    applies_per_hour_target: Annotated[int, Field(ge=0)] = 6
    """Of one target, whichever shard orders it: only its own actuator sees all of them."""
    cooldown_s: Annotated[int, Field(ge=0, le=86_400)] = 0
    """Rest of a target after a change; 0: none. What was taken back on trial is put in place again without it."""
    targets: Annotated[tuple[FileTarget, ...], Field(min_length=1)]

    @model_validator(mode="after")
    def _targets_differ(self) -> "Actuator":
        if len({target.id for target in self.targets}) < len(self.targets):
            raise ValueError("two targets have the same id")
        if len({(target.file, target.key) for target in self.targets}) < len(self.targets):
            raise ValueError("two targets name the same key of the same file")
        return self

    def target(self, identity: str) -> FileTarget | None:
        """The target of this id, if there is one."""
        return next((target for target in self.targets if target.id == identity), None)


def parse(text: str, name: str) -> Actuator:
    """Reads the text of the file called `name`. Raises NotAnActuator."""
    try:
        tree = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise NotAnActuator(f"{name}: not TOML: {error}") from error
    floats = [
        f"{name}:{_line(text, place)}: {_dotted(place)}: a whole number is expected" for place in _floats(tree, ())
    ]
    if floats:
        raise NotAnActuator("\n".join(floats))
    try:
        return Actuator.read(tree)
    except ValidationError as error:
        found = {fault["loc"]: _said(fault) for fault in error.errors()}
        # A list whose entry is wrong counts as too short as well: only the entry is named.
        inner = {
            loc: said for loc, said in found.items() if not any(loc == other[: len(loc)] != other for other in found)
        }
        faults = [f"{name}:{_line(text, loc)}: {_dotted(loc)}: {said}" for loc, said in inner.items()]
        raise NotAnActuator("\n".join(faults)) from error


def _floats(tree: Any, place: tuple[str | int, ...]) -> Iterator[tuple[str | int, ...]]:
    match tree:
        case float():
            yield place
        case dict():
            for key, inner in tree.items():
                yield from _floats(inner, (*place, key))
        case list():
            for number, inner in enumerate(tree):
                yield from _floats(inner, (*place, number))


def _line(text: str, place: tuple[int | str, ...]) -> int:
    """The line of the field, or of the table that it should stand in."""
    wanted = [str(part) for part in place]
    above: list[str] = []
    seen: dict[str, int] = {}
    best, depth = 1, 0
    for number, line in enumerate(text.splitlines(), 1):
        header = re.match(r"\s*\[\[\s*([^\[\]]+?)\s*\]\]", line)
        field = re.match(r"\s*([A-Za-z0-9_-]+)\s*=", line)
        if header:
            above = []
            parts = header.group(1).split(".")
            for last, part in enumerate(parts, 1):
                above.append(part)
                way = ".".join(above)
                if last == len(parts):
                    seen[way] = seen.get(way, -1) + 1
                above.append(str(seen.get(way, 0)))
            here = above
        elif field:
            here = [*above, field.group(1)]
        else:
            continue
        if here == wanted[: len(here)] and len(here) > depth:
            best, depth = number, len(here)
    return best


def _dotted(place: tuple[int | str, ...]) -> str:
    return ".".join(str(part) for part in place) or "the file"


def _said(fault: Any) -> str:
    match fault["type"]:
        case "extra_forbidden":
            return "there is no such field"
        case "string_pattern_mismatch" if fault["loc"][-1] == "probe_url":
            return "expected an http or https URL without user, e.g. http://127.0.0.1:8080/config"
        case "string_pattern_mismatch":
            return "expected letters, digits, '.', '_' and '-', e.g. acme-pool"
        case _:
            return str(fault["msg"]).removeprefix("Value error, ")
