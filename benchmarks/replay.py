"""How fast is a replay beside the decoder alone, and how much memory does it take as the archive grows?

    python -m benchmarks.replay [--seconds N] [--tenants N] [--spans N] [--runs N]

The archive is made as it is read: `--tenants` tenants with one service each, `--spans` server spans a second in all
with the attributes that an HTTP instrumentation writes, a record a tenant and second in four partitions. Decoding alone
and the replay read the same bytes in the same process, in turn; the ratio is the replay's rate by the decoder's. Memory
is the peak of a process of its own that replays so many seconds, and one with ten times as many. A ratio below 0.7, or
a peak that grows by more than a quarter, makes the exit code 1. The last line is JSON.
"""

import argparse
import json
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator

import numpy as np
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans, ScopeSpans, Span, Status, TracesData

from schemas import tiers
from schemas.otlp import spans as otlp_spans
from schemas.slo import DAY_S, Slo, SpanSli
from schemas.specs import SpecSet
from stream.archive.record import Stored
from stream.backtest.sources import Names, Replay

RATIO_MIN, GROWTH_MAX = 0.7, 1.25
START_S = 1_800_000_000
PARTITIONS = 4
SERVICE = "shop"
SPECS = SpecSet(
    slos=(
        Slo(
            name="availability",
            sli=SpanSli(service=SERVICE),
            target_ppm=999_000,
            tiers=tiers.defaults(999_000, 30 * DAY_S)[0],
        ),
    )
)


def main() -> int:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--seconds", type=int, default=60)
    options.add_argument("--tenants", type=int, default=20)
    options.add_argument("--spans", type=int, default=2_000)
    options.add_argument("--runs", type=int, default=3)
    options.add_argument("--only-memory", action="store_true", help="replay once and tell the peak of this process")
    wanted = options.parse_args()
    if wanted.only_memory:
        _replay(records(wanted.seconds, wanted.tenants, wanted.spans))
        print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024)
        return 0
    archive = list(records(wanted.seconds, wanted.tenants, wanted.spans))
    decode_s, replay_s = [], []
    for _ in range(wanted.runs):
        decode_s.append(_timed(lambda: _decode(archive)))
        replay_s.append(_timed(lambda: _replay(iter(archive))))
    count = wanted.seconds * wanted.spans
    ratio = statistics.median(decode_s) / statistics.median(replay_s)
    small_mb, large_mb = (_peak_mb(wanted, seconds) for seconds in (wanted.seconds, 10 * wanted.seconds))
    holds = ratio >= RATIO_MIN and large_mb <= GROWTH_MAX * small_mb
    print(
        f"{count} spans: decoded at {count / statistics.median(decode_s):.0f} a second, replayed at "
        f"{count / statistics.median(replay_s):.0f}, ratio {ratio:.2f} (at least {RATIO_MIN}); "
        f"{small_mb} MB for {wanted.seconds} s, {large_mb} MB for ten times as many"
    )
    print(
        json.dumps(
            {
                "ratio": round(ratio, 3),
                "decode_spans_per_s": round(count / statistics.median(decode_s)),
                "replay_spans_per_s": round(count / statistics.median(replay_s)),
                "times_real_time": round(wanted.seconds / statistics.median(replay_s), 1),
                "peak_mb": small_mb,
                "peak_mb_tenfold": large_mb,
                "spans": count,
                "tenants": wanted.tenants,
                "holds": holds,
            }
        )
    )
    return 0 if holds else 1


def records(seconds: int, tenants: int, spans: int) -> Iterator[Stored]:
    """The archive, in the order of time."""
    chance = np.random.default_rng(1)
    offsets = [0] * PARTITIONS
    for second in range(START_S, START_S + seconds):
        for tenant in range(tenants):
            partition = tenant % PARTITIONS
            yield Stored(
                topic=Names().spans,
                partition=partition,
                offset=offsets[partition],
                timestamp_ms=(second + 1) * 1000 + 300 + tenant * 500 // tenants,
                key=None,
                headers=(),
                value=_record(chance, f"tenant-{tenant}", second, spans // tenants),
            )
            offsets[partition] += 1


def _record(chance: np.random.Generator, tenant: str, second: int, count: int) -> bytes:
    made = []
    for number in range(count):
        end_ns = second * 10**9 + number * 10**9 // count
        failed = chance.random() < 0.0005
        made.append(
            Span(
                trace_id=chance.bytes(16),
                span_id=chance.bytes(8),
                parent_span_id=chance.bytes(8),
                name="GET /orders/{id}",
                kind=Span.SPAN_KIND_SERVER,
                start_time_unix_nano=end_ns - int(chance.gamma(4, 20_000_000)),
                end_time_unix_nano=end_ns,
                status=Status(code=Status.STATUS_CODE_ERROR if failed else Status.STATUS_CODE_UNSET),
                attributes=[
                    _text("http.request.method", "GET"),
                    _text("http.route", "/orders/{id}"),
                    _text("url.path", f"/orders/{number}"),
                    _text("url.scheme", "https"),
                    _text("server.address", "shop.example"),
                    _text("user_agent.original", "client/1.0"),
                    _text("network.protocol.version", "1.1"),
                    KeyValue(key="http.response.status_code", value=AnyValue(int_value=503 if failed else 200)),
                ],
            )
        )
    named = [_text("service.name", SERVICE), _text("tenant.id", tenant), _text("service.instance.id", "i-1")]
    block = ResourceSpans(resource={"attributes": named}, scope_spans=[ScopeSpans(spans=made)])
    return TracesData(resource_spans=[block]).SerializeToString()


def _text(key: str, value: str) -> KeyValue:
    return KeyValue(key=key, value=AnyValue(string_value=value))


def _decode(archive: list[Stored]) -> None:
    for record in archive:
        otlp_spans.decode(record.value or b"")


def _replay(archive: Iterator[Stored]) -> None:
    replay = Replay(SPECS, Names())
    for record in archive:
        replay.take(record)
    replay.finish()


def _timed(work: object) -> float:
    started_s = time.process_time()
    assert callable(work)
    work()
    return time.process_time() - started_s


def _peak_mb(wanted: argparse.Namespace, seconds: int) -> int:
    size = ["--seconds", str(seconds), "--tenants", str(wanted.tenants), "--spans", str(wanted.spans)]
    command = [sys.executable, "-m", "benchmarks.replay", "--only-memory", *size]
    return int(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


if __name__ == "__main__":
    sys.exit(main())
