"""The journal's records: what is written reads back, and whatever else lies there is Malformed with its place."""

from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas import canonical, journal
from schemas.journal import (
    Kind,
    Malformed,
    Position,
    Progress,
    Record,
    Signed,
    SourceProgress,
    Strings,
    Table,
    Telemetry,
    Tick,
)

TEXT = st.text(st.characters(codec="utf-8"), max_size=12)
OFFSET = st.integers(-1, 2**62)
SIGNED = Signed("outcomes", 3, 17, 9, "dev.douse.outcome", "id", "/act", "key", {"status": "live", "n": [1, None]})
PROGRESS = Progress(
    "boot-1", (SourceProgress("spans", 0, 4, 9, 12, 1_800_000_000_000), SourceProgress("logs", 1, 2, -1, 0, 0, 5, 9))
)
TICK = Tick(250, 41)


def record(kind: str, value: bytes, version: int = journal.VERSION) -> Record:
    return Record(7, 1234, 1_800_000_000_000, kind, version, value)


def table(name: str, rows: int, seed: int = 1) -> Table:
    """Rows of any table with numbers over the whole range of their types."""
    generator = np.random.default_rng(seed)
    columns: dict[str, Any] = {}
    for column, kind in journal.TABLES[name].items():
        if pa.types.is_dictionary(kind):
            values = tuple(f"{column}-{number}é" for number in range(3))
            columns[column] = Strings(generator.integers(0, 3, rows).astype(np.int32), values)
        elif pa.types.is_boolean(kind):
            columns[column] = generator.random(rows) < 0.5
        elif pa.types.is_floating(kind):
            columns[column] = np.where(generator.random(rows) < 0.3, np.nan, generator.normal(0, 1e6, rows))
        else:
            bounds = np.iinfo(kind.to_pandas_dtype())
            columns[column] = generator.integers(bounds.min, bounds.max, rows, kind.to_pandas_dtype(), endpoint=True)
    return columns


def texts(column: Any) -> list[Any]:
    return [column.values[code] for code in column.codes] if isinstance(column, Strings) else column.tolist()


def cells(body: Telemetry) -> dict[str, dict[str, list[Any]]]:
    return {name: {column: texts(v) for column, v in columns.items()} for name, columns in body.tables.items()}


TABLES = [name for name in journal.TABLES if name != "positions"]


@given(
    st.lists(st.tuples(TEXT, st.integers(0, 2**31 - 1), OFFSET), min_size=1, max_size=5),
    st.dictionaries(st.sampled_from(TABLES), st.integers(0, 9)),
    st.integers(0, 2**31),
)
@settings(max_examples=60, deadline=None)
def test_telemetry_reads_back_as_it_was_written(
    sources: list[tuple[str, int, int]], sizes: dict[str, int], seed: int
) -> None:
    positions = tuple(Position(*source) for source in sources)
    tables = {name: table(name, rows, seed) for name, rows in sizes.items()}
    body = journal.decode(record(Kind.TELEMETRY, journal.encode_telemetry(positions, tables)))
    assert isinstance(body, Telemetry)
    assert body.positions == positions
    assert set(body.tables) == {name for name, rows in sizes.items() if rows}
    for name, found in body.tables.items():
        assert list(found) == list(journal.TABLES[name])
        for column, values in found.items():
            wanted = tables[name][column]
            np.testing.assert_array_equal(texts(values), texts(wanted), f"{name}.{column}")
            if not isinstance(values, Strings) and not isinstance(wanted, Strings):
                assert values.dtype == wanted.dtype


def test_the_same_telemetry_is_the_same_bytes_in_whatever_order_its_tables_come() -> None:
    tables = {name: table(name, 4) for name in TABLES}
    one = journal.encode_telemetry((Position("spans", 0, -1),), tables)
    assert one == journal.encode_telemetry((Position("spans", 0, -1),), dict(reversed(tables.items())))


SOURCE = st.builds(SourceProgress, TEXT, OFFSET, OFFSET, OFFSET, OFFSET, OFFSET, OFFSET, OFFSET)
JSON = st.dictionaries(TEXT, st.none() | OFFSET | TEXT | st.lists(st.booleans()), max_size=4)


@given(TEXT, st.lists(SOURCE, max_size=4))
def test_progress_reads_back(boot: str, sources: list[SourceProgress]) -> None:
    progress = Progress(boot, tuple(sources))
    assert journal.decode(record(Kind.PROGRESS, journal.encode_progress(progress))) == progress


@given(OFFSET, OFFSET)
def test_a_tick_reads_back(interval_ms: int, folded: int) -> None:
    tick = Tick(interval_ms, folded)
    assert journal.decode(record(Kind.TICK, journal.encode_tick(tick))) == tick


@given(
    st.builds(Signed, TEXT, OFFSET, OFFSET, OFFSET, TEXT, TEXT, TEXT, TEXT, JSON),
    st.sampled_from([Kind.OUTCOME, Kind.CONTROL]),
)
def test_a_signed_event_reads_back(signed: Signed, kind: Kind) -> None:
    assert journal.decode(record(kind, journal.encode_signed(signed))) == signed


def streams(value: bytes) -> list[tuple[dict[bytes, bytes], pa.RecordBatch]]:
    reader, found = pa.BufferReader(value), []
    while reader.tell() < len(value):
        with pa.ipc.open_stream(reader) as stream:
            (batch,) = stream
            found.append((dict(stream.schema.metadata), batch))
    return found


def rewritten(value: bytes, change: Any) -> bytes:
    """Every table as `change` (name, batch) makes it; None leaves it out."""
    sink = pa.BufferOutputStream()
    for metadata, batch in streams(value):
        changed = change(metadata[b"table"].decode(), batch)
        if changed is not None:
            changed = changed.replace_schema_metadata(metadata)
            with pa.ipc.new_stream(sink, changed.schema) as writer:
                writer.write_batch(changed)
    return bytes(sink.getvalue())


TELEMETRY = journal.encode_telemetry((Position("spans", 0, -1),), {name: table(name, 3) for name in TABLES})


def with_column(batch: pa.RecordBatch, name: str, array: pa.Array) -> pa.RecordBatch:
    names = [*batch.schema.names]
    columns = list(batch.columns)
    if name in names:
        columns[names.index(name)] = array
    else:
        names, columns = [name, *names], [array, *columns]
    return pa.RecordBatch.from_arrays(columns, names=names)


def test_an_unknown_column_and_an_unknown_table_are_ignored() -> None:
    plain = journal.decode(record(Kind.TELEMETRY, TELEMETRY))
    more = rewritten(TELEMETRY, lambda _, batch: with_column(batch, "invented", pa.array(["x"] * batch.num_rows)))
    with_table = more + rewritten(TELEMETRY, lambda name, batch: batch if name == "latency" else None).replace(
        b"latency", b"novelty"
    )
    assert b"novelty" in with_table
    for value in (more, with_table):
        found = journal.decode(record(Kind.TELEMETRY, value))
        assert isinstance(found, Telemetry) and isinstance(plain, Telemetry)
        assert found.positions == plain.positions
        assert repr(cells(found)) == repr(cells(plain))


PLACE = r"journal partition 7 offset 1234: "


@pytest.mark.parametrize(
    ("kind", "version", "message"),
    [
        ("tick", 2, "version 2 is newer than 1; run the newer douse on this shard"),
        ("novelty", 1, "kind 'novelty' is unknown; known are telemetry, progress, tick, outcome, control"),
        ("", 1, "kind '' is unknown"),
        ("Tick", 1, "kind 'Tick' is unknown"),
    ],
)
def test_an_unknown_kind_or_a_newer_version_names_shard_and_offset(kind: str, version: int, message: str) -> None:
    with pytest.raises(Malformed, match=f"^{PLACE}{message}"):
        journal.decode(record(kind, journal.encode_tick(TICK), version))


BROKEN = {
    "no positions": rewritten(TELEMETRY, lambda name, batch: batch if name != "positions" else None),
    "no tables": b"",
    "a column missing": rewritten(
        TELEMETRY, lambda name, batch: batch.select(batch.schema.names[1:]) if name == "latency" else batch
    ),
    "text where numbers belong": rewritten(
        TELEMETRY, lambda name, batch: with_column(batch, "count", pa.array(["a"] * 3)) if name == "latency" else batch
    ),
    "numbers where text belongs": rewritten(
        TELEMETRY, lambda name, batch: with_column(batch, "tenant", pa.array([1, 2, 3])) if name == "latency" else batch
    ),
    "an empty cell": rewritten(
        TELEMETRY,
        lambda name, batch: (
            with_column(batch, "count", pa.array([1, None, 2], pa.uint32())) if name == "latency" else batch
        ),
    ),
    "a topic that is no name": rewritten(
        TELEMETRY,
        lambda name, batch: (
            with_column(
                batch,
                "topic",
                pa.DictionaryArray.from_arrays(pa.array([4], pa.int32()), pa.array(["spans"]), safe=False),
            )
            if name == "positions"
            else batch
        ),
    ),
}


@pytest.mark.parametrize("value", BROKEN.values(), ids=BROKEN.keys())
def test_tables_that_are_not_ours_are_malformed(value: bytes) -> None:
    with pytest.raises(Malformed, match=PLACE):
        journal.decode(record(Kind.TELEMETRY, value))


@pytest.mark.parametrize(
    ("kind", "raw"),
    [
        ("tick", {"folded": 1}),
        ("tick", {"folded": "1", "interval_ms": 250}),
        ("tick", {"folded": 1, "interval_ms": None}),
        ("tick", [1, 250]),
        ("tick", None),
        ("progress", {"boot": "b"}),
        ("progress", {"boot": "b", "sources": 1}),
        ("progress", {"boot": "b", "sources": ["text"]}),
        ("progress", {"boot": "b", "sources": [{"topic": "spans"}]}),
        ("progress", {"boot": "b", "sources": [dict.fromkeys(SourceProgress.__slots__, "x")]}),
        ("outcome", {"topic": "outcomes"}),
        ("control", dict.fromkeys(Signed.__slots__, 1)),
        ("control", {**{name: getattr(SIGNED, name) for name in Signed.__slots__}, "data": [1]}),
        ("control", {**{name: getattr(SIGNED, name) for name in Signed.__slots__}, "offset": True}),
    ],
)
def test_json_that_is_not_ours_is_malformed(kind: str, raw: Any) -> None:
    with pytest.raises(Malformed, match=PLACE):
        journal.decode(record(kind, canonical.dumps(raw)))


def decoded_or_malformed(kind: str, value: bytes) -> None:
    said = ""
    try:
        journal.decode(record(kind, value))
    except Malformed as error:
        said = str(error)
    assert said == "" or said.startswith("journal partition 7 offset 1234: ")


@given(st.sampled_from(list(Kind)), st.binary(max_size=300))
@settings(max_examples=300, deadline=None)
def test_any_bytes_are_malformed_and_nothing_else(kind: Kind, value: bytes) -> None:
    decoded_or_malformed(kind, value)


SMALL = journal.encode_telemetry((Position("spans", 0, -1),), {"latency": table("latency", 3)})
JSONS = {
    Kind.TICK: journal.encode_tick(TICK),
    Kind.PROGRESS: journal.encode_progress(PROGRESS),
    Kind.CONTROL: journal.encode_signed(SIGNED),
}


@given(st.sampled_from(list(JSONS)), st.integers(0, 400), st.binary(min_size=1, max_size=3))
def test_a_few_changed_bytes_of_json_are_malformed_and_nothing_else(kind: Kind, place: int, raw: bytes) -> None:
    value = JSONS[kind]
    place %= len(value)
    decoded_or_malformed(kind, value[:place] + raw + value[place + len(raw) :])


@given(st.integers(0, len(SMALL) - 1), st.binary(min_size=1, max_size=8))
@settings(max_examples=400, deadline=None)
def test_a_few_changed_bytes_of_telemetry_are_malformed_or_other_numbers(place: int, raw: bytes) -> None:
    decoded_or_malformed(Kind.TELEMETRY, SMALL[:place] + raw + SMALL[place + len(raw) :])


def test_telemetry_that_was_cut_inside_a_table_is_malformed() -> None:
    """Behind a table's last row Arrow writes an end of eight bytes, which nobody misses."""
    whole = journal.decode(record(Kind.TELEMETRY, SMALL))
    assert isinstance(whole, Telemetry)
    for length in range(0, len(SMALL), 3):
        try:
            body = journal.decode(record(Kind.TELEMETRY, SMALL[:length]))
        except Malformed:
            continue
        assert any(0 <= end - length <= 8 for end in boundaries(SMALL)), f"the cut at {length} went unseen"
        assert isinstance(body, Telemetry)
        assert body.positions == whole.positions
        assert not body.tables or repr(cells(body)) == repr(cells(whole))


def boundaries(value: bytes) -> set[int]:
    reader, found = pa.BufferReader(value), set()
    while reader.tell() < len(value):
        with pa.ipc.open_stream(reader) as stream:
            list(stream)
        found.add(reader.tell())
    return found
