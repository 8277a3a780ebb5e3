"""How an OTLP record is written. Apart from the readers, so that settings and command lines need none of them."""

from enum import StrEnum


class Encoding(StrEnum):
    """By the names of the Collector's Kafka exporter."""

    PROTO = "otlp_proto"
    JSON = "otlp_json"
