"""How many spans a second each encoding of OTLP gives: `python -m benchmarks.decoding`. The last line is JSON."""

import json
import random
import time

from opentelemetry.proto.trace.v1.trace_pb2 import TracesData

from schemas.otlp import spans
from schemas.otlp.columns import Spans
from schemas.otlp.encoding import Encoding
from tests.schemas.otlp import otlp_json

SPANS, ATTRIBUTES, RECORDS, TURNS = 200, 8, 20, 5


def main() -> None:
    draw = random.Random(1)
    requests = [_request(draw) for _ in range(RECORDS)]
    records = {
        Encoding.PROTO: [request.SerializeToString() for request in requests],
        Encoding.JSON: [otlp_json.document(request) for request in requests],
    }
    rates = {encoding: _rate(written, encoding) for encoding, written in records.items()}
    for encoding, rate in rates.items():
        print(f"{encoding}: {rate:,.0f} spans/s of {ATTRIBUTES} attributes")
    shown = {f"{encoding}_spans_per_s": round(rate) for encoding, rate in rates.items()}
    print(json.dumps({**shown, "json_of_proto": round(rates[Encoding.JSON] / rates[Encoding.PROTO], 3)}))


def _request(draw: random.Random) -> TracesData:
    request = TracesData()
    block = request.resource_spans.add()
    block.resource.attributes.add(key="service.name").value.string_value = "shop"
    scope = block.scope_spans.add()
    for _ in range(SPANS):
        start_ns = 1_795_494_266_000_000_000 + draw.randrange(10**9)
        span = scope.spans.add(
            trace_id=draw.randbytes(16), span_id=draw.randbytes(8), name=f"GET /{draw.randrange(9)}", kind=2,
            start_time_unix_nano=start_ns, end_time_unix_nano=start_ns + draw.randrange(10**8),
        )  # fmt: skip
        for place in range(ATTRIBUTES):
            value = span.attributes.add(key=f"http.attribute.{place}").value
            if place % 2:
                value.int_value = draw.randrange(600)
            else:
                value.string_value = f"value {draw.randrange(50)}"
    return request


def _rate(records: list[bytes], encoding: Encoding) -> float:
    """Spans a second of processor time, the best of some turns: what else runs here slows all of them."""
    best_s = float("inf")
    for _ in range(TURNS):
        start_s = time.process_time()
        found = [spans.decode(record, encoding) for record in records]
        best_s = min(best_s, time.process_time() - start_s)
        assert all(isinstance(table, Spans) for table in found)
    return SPANS * RECORDS / best_s


if __name__ == "__main__":
    main()
