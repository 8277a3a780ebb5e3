"""What an archive says of itself: manifest.json, replaced as a whole or not at all."""

import os
import re
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from stream.archive.record import Damage
from stream.trouble import OperatorNeededError

NAME = "manifest.json"
FORMAT = "douse-archive"
VERSION = 1
TOPIC = re.compile(r"(?!\.{1,2}$)[A-Za-z0-9._-]{1,249}")  # what Kafka allows, and no way out of the folder


class BadArchiveError(OperatorNeededError):
    """The folder is no archive, or one of another format or version."""


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


def _topic(name: str) -> str:
    if not valid_topic(name):
        raise ValueError(f"{name!r} is no name of a topic")
    return name


class Sum(_Strict):
    """A file's size and checksum."""

    bytes: int = Field(ge=0)
    sha256: str


class Part(_Strict):
    """What the archive has of one partition."""

    topic: Annotated[str, AfterValidator(_topic)]
    partition: int = Field(ge=0)
    records: int = Field(ge=0)
    first_offset: int
    last_offset: int
    first_ms: int
    last_ms: int
    encodings: tuple[str, ...] = ()
    source: str = ""
    segment: Sum
    index: Sum


class Broken(_Strict):
    """A place in a source that could not be imported."""

    file: str
    offset: int
    what: str


class Manifest(_Strict):
    """The whole page. Without `whole` the files are as far as the writer came, and `partitions` is empty."""

    format: str
    version: int
    whole: bool
    origin: str = ""
    partitions: tuple[Part, ...] = ()
    broken: tuple[Broken, ...] = ()


def segment_name(topic: str, partition: int) -> str:
    """Relative to the archive's folder."""
    return f"{topic}/{partition}.zst"


def index_name(topic: str, partition: int) -> str:
    """Relative to the archive's folder."""
    return f"{topic}/{partition}.index"


def valid_topic(name: str) -> bool:
    """Whether Kafka would take the name."""
    return TOPIC.fullmatch(name) is not None


def write(folder: Path, manifest: Manifest) -> None:
    """Replace manifest.json; whoever reads at any moment sees the old page or the new one."""
    part = folder / f"{NAME}.part"
    with part.open("w") as file:
        file.write(manifest.model_dump_json(indent=1) + "\n")
        file.flush()
        os.fsync(file.fileno())
    os.replace(part, folder / NAME)
    sync(folder)


def sync(path: Path) -> None:
    """Return when the file, or the folder's list of names, is on the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def read(folder: Path) -> Manifest | Damage:
    """The manifest, or what is wrong with its bytes where the segments are ours all the same.

    Raises BadArchiveError.
    """
    path = folder / NAME
    if not folder.is_dir():
        raise BadArchiveError(f"{folder} is no folder; name one that `douse archive` has written")
    if not path.is_file():
        raise BadArchiveError(f"{folder} is no archive: there is no {NAME}; `douse archive import` makes one of files")
    text = path.read_text(errors="replace")
    try:
        manifest = Manifest.model_validate_json(text)
    except ValidationError as error:
        first = error.errors()[0]
        what = f"{'.'.join(map(str, first['loc'])) or 'the page'}: {first['msg']}"
        if first["type"] == "json_invalid" and any(folder.glob("*/*.zst")):
            return Damage(NAME, len(text.encode()), f"not the JSON that was written ({first['msg']})")
        raise BadArchiveError(f"{path}: no manifest of an archive: {what}") from error
    if manifest.format != FORMAT:
        raise BadArchiveError(f"{path}: format is {manifest.format!r}; this douse reads {FORMAT!r}")
    if manifest.version != VERSION:
        raise BadArchiveError(
            f"{path}: version {manifest.version} of the format; this douse reads {VERSION}: "
            "use the douse that wrote it, or one that is as new"
        )
    return manifest
