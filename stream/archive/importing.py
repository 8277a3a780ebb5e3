"""Makes an archive of files: the Collector's file exporter, rotated or not, and topics saved record by record.

The files of one exporter (a current file and those it was rotated to) are one partition, so that partitions are merged
by time as if they had come over Kafka side by side.
"""

import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import orjson

from stream.archive import framing, manifest, payload
from stream.archive.payload import Known, Signal
from stream.archive.record import Damage, Stored
from stream.archive.writing import Writer
from stream.trouble import OperatorNeededError

ENCODING = "encoding"  # the header that says otlp_json or otlp_proto
# `-TIME` before the name's first dot, as the Collector's rotation writes it, with the reason that newer ones add
ROTATED = re.compile(r"-\d{4}-\d\d-\d\dT\d\d-\d\d-\d\d\.\d{3}(-[a-z]+)?(?=\.|$)")
WORDS = {
    Signal.SPANS: ("span", "trace"),
    Signal.LOGS: ("log",),
    Signal.METRICS: ("metric",),
}
SAVED = (".bin", ".jsonl")  # a topic's values, and a line for each with where and when it stood
FORMS = (".json", ".jsonl", ".proto", ".bin", ".pb", ".zst", ".zstd", ".otlp")  # a folder also holds READMEs


class NothingToImportError(OperatorNeededError):
    """The source has no file that could hold telemetry."""


@dataclass(slots=True)
class Imported:
    """What came of it, by topic; `damages` are the places of the source that could not be used."""

    records: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    damages: list[Damage] = field(default_factory=list)


def sources(source: Path) -> list[Path]:
    """The files to read, in the order in which they were written. Raises NothingToImportError."""
    if source.is_file():
        return [source]
    if not source.is_dir():
        raise NothingToImportError(f"{source} is not there; name a file or a folder of files")
    files = [path for path in source.rglob("*") if path.is_file() and path.suffix in FORMS]
    # one without its values is no telemetry, one with them is read beside them
    found = [path for path in files if path.suffix != SAVED[1] or path.with_suffix(SAVED[0]) not in files]
    if not found:
        raise NothingToImportError(f"{source} holds no file that ends in {', '.join(FORMS)}")
    return sorted(found, key=lambda path: (_family(path), ROTATED.search(path.name) is None, path.name))


def run(
    source: Path, files: Iterable[Path], writer: Writer, signal: Signal | None, step: Callable[[int], None]
) -> Imported:
    """Writes every record of the source's files, as `sources` listed them before the writer made files of its own.

    `step` hears the bytes of each file when it is done.
    """
    done = Imported()
    base = source.parent if source.is_file() else source
    next_partition: dict[str, int] = defaultdict(int)
    families: dict[tuple[Path, str], int] = {}
    next_offset: dict[tuple[str, int], int] = defaultdict(int)
    last_ms: dict[tuple[str, int], int] = {}
    for path in files:
        name = path.relative_to(base).as_posix()
        if path.suffix == SAVED[0] and path.with_suffix(SAVED[1]).is_file():
            for found in _saved(path, name, done):
                writer.add(found, source=name)
                done.records[found.topic] += 1
            step(path.stat().st_size)
            continue
        family = _family(path)
        for known, content in _known(path, name, signal, done):
            topic = known.signal.topic
            if (family, topic) not in families:
                families[family, topic] = next_partition[topic]
                next_partition[topic] += 1
            at = (topic, families[family, topic])
            last_ms[at] = last_ms.get(at, 0) if known.time_ms is None else known.time_ms
            record = Stored(
                topic=topic,
                partition=at[1],
                offset=next_offset[at],
                timestamp_ms=last_ms[at],
                key=None,
                headers=((ENCODING, known.encoding.encode()),),
                value=content,
            )
            writer.add(record, encoding=known.encoding, source=family.relative_to(base).as_posix())
            next_offset[at] += 1
            done.records[topic] += 1
        step(path.stat().st_size)
    for damage in done.damages:
        writer.note(damage)
    return done


def _known(path: Path, name: str, signal: Signal | None, done: Imported) -> Iterator[tuple[Known, bytes]]:
    named = signal or _named(path)
    damages: list[Damage] = []
    usable = False
    with path.open("rb") as file:
        for piece in framing.payloads(file, name):
            if isinstance(piece, Damage):
                damages.append(piece)
                continue
            at, content = piece
            try:
                known = payload.read(content, named)
            except payload.UnreadableError as error:
                damages.append(Damage(name, at, str(error)))
                continue
            usable = True
            yield known, content
    if len(damages) > 1 and not usable:  # another kind of file: a line for each of its lines would hide the others
        first = damages[0]
        damages = [Damage(name, first.offset, f"{first.what}; nothing in this file could be used")]
    done.damages += damages


def _saved(path: Path, name: str, done: Imported) -> Iterator[Stored]:
    """A topic's records as they stood, from NAME.bin and NAME.jsonl."""
    topic = path.stem
    if not manifest.valid_topic(topic):
        done.damages.append(Damage(name, 0, f"{topic!r} is no name of a topic"))
        return
    last: dict[int, int] = {}
    with path.open("rb") as file, path.with_suffix(SAVED[1]).open("rb") as lines:
        for piece in framing.lengths(file, name):
            if isinstance(piece, Damage):
                done.damages.append(piece)
                continue
            line_at, line = lines.tell(), lines.readline()
            try:
                found = _record(topic, orjson.loads(line), piece[1])
                if found.offset <= last.get(found.partition, -1):
                    raise ValueError(f"offset {found.offset} after {last[found.partition]}")
            except (AttributeError, KeyError, TypeError, ValueError) as error:
                done.damages.append(Damage(f"{name.removesuffix(SAVED[0])}{SAVED[1]}", line_at, f"no record: {error}"))
                continue
            last[found.partition] = found.offset
            yield found


def _record(topic: str, line: "dict[str, object]", value: bytes) -> Stored:
    headers: Iterable[tuple[str, object]] = line["headers"]  # type: ignore[assignment]  # checked by what is done
    place = [line[name] for name in ("partition", "offset", "timestamp")]
    numbers = [number for number in place if isinstance(number, int)]
    if len(numbers) != len(place) or min(numbers) < 0:
        raise ValueError("partition, offset and timestamp are whole numbers from 0 up")
    return Stored(
        topic=topic,
        partition=numbers[0],
        offset=numbers[1],
        timestamp_ms=numbers[2],
        key=_bytes(line.get("key")),
        headers=tuple((key, _bytes(content) or b"") for key, content in headers),
        value=value,
    )


def _bytes(found: object) -> bytes | None:
    match found:
        case None:
            return None
        case {"text": str(text)}:
            return text.encode()
        case {"hex": str(digits)}:
            return bytes.fromhex(digits)
        case _:
            raise ValueError('bytes are {"text": ...} or {"hex": ...}')


def _family(path: Path) -> Path:
    """The name that a rotated file has while it is written to."""
    return path.with_name(ROTATED.sub("", path.name))


def _named(path: Path) -> Signal | None:
    """The signal that the file's name, else its folder's, speaks of."""
    for text in (path.name.lower(), path.parent.name.lower()):
        found = [signal for signal, words in WORDS.items() if any(word in text for word in words)]
        if len(found) == 1:
            return found[0]
    return None
