"""A Faust app whose every setting was chosen so that nothing is lost or counted twice; DECISIONS.md has the reasons."""

from collections.abc import Mapping
from pathlib import Path

import faust
from faust import streams
from faust.auth import OAuthCredentials, SASLCredentials, SSLCredentials
from faust.types.auth import CredentialsT, SASLMechanism

from stream import kafka
from stream.faustlib import recovery
from stream.settings import Settings

# Messages, not bytes, and one number an app: below 64 a full buffer costs a second a time, and 4096 records of
# 1 MB would be unbounded.
BUFFER_MESSAGES: Mapping[str, int] = {"ingest": 256, "detect": 1024}

POLL_RECORDS_MAX = 64
FETCH_BYTES_MAX = 8 << 20  # the largest journal record, and 128 ms of a busy partition
BATCH_BYTES_MAX = 1 << 20
COMMIT_INTERVAL_S = 1.0
COMMIT_EVERY_RECORDS = 1000
REQUEST_TIMEOUT_S = 30  # Faust's own 1200 s would hold an agent for 20 minutes when a topic is missing


def make(settings: Settings, kind: str) -> faust.App:
    """The app of a worker of `kind` (ingest, detect) in the group `<group_prefix>-<kind>`; agents are the caller's."""
    # The pure-Python iterator acknowledges messages of an earlier generation that it never yielded.
    assert getattr(streams, "_CStreamIterator", None) is not None, (
        "faust-streaming was built without its Cython extension"
    )
    name = f"{settings.group_prefix}-{kind}"
    folder = Path(settings.data_folder).absolute()
    folder.mkdir(parents=True, exist_ok=True)  # Faust makes its own folder, not the parent of it
    at = kafka.cluster(settings)
    return faust.App(
        name,
        broker_credentials=_credentials(at),
        broker=[f"kafka://{address.strip()}" for address in settings.bootstrap.split(",")],
        datadir=folder / name,
        store="memory://",
        TableManager=recovery.SafeTableManager,
        key_serializer="raw",
        value_serializer="raw",  # with a codec Faust acknowledges first and throws later; agents decode
        consumer_auto_offset_reset="earliest",
        consumer_max_fetch_size=FETCH_BYTES_MAX,
        broker_max_poll_records=POLL_RECORDS_MAX,
        broker_commit_interval=COMMIT_INTERVAL_S,
        broker_commit_every=COMMIT_EVERY_RECORDS,
        broker_session_timeout=settings.session_s,
        broker_heartbeat_interval=settings.heartbeat_s,
        broker_rebalance_timeout=settings.rebalance_s,
        processing_guarantee="at_least_once",  # exactly_once is broken in faust-streaming (issues 323, 517, 177)
        producer_acks=-1,
        producer_compression_type="lz4",
        producer_linger=0.01,
        producer_max_batch_size=BATCH_BYTES_MAX,
        producer_request_timeout=REQUEST_TIMEOUT_S,
        stream_buffer_maxsize=BUFFER_MESSAGES[kind],
        stream_wait_empty=False,  # waiting hangs the shutdown: events are held, unacknowledged, until a snapshot
        table_standby_replicas=0,
        topic_disable_leader=True,
        topic_allow_declare=False,  # topics are created once, with their own configurations
        web_enabled=False,
        web_tables_enabled=False,
        worker_redirect_stdouts=False,
    )


def _credentials(at: kafka.Cluster) -> CredentialsT | None:
    """The security of this Kafka in Faust's words."""
    if at.tokens is not None:
        return OAuthCredentials(oauth_cb=at.tokens, ssl_context=at.tls)
    if at.mechanism:
        return SASLCredentials(
            username=at.username, password=at.password, ssl_context=at.tls, mechanism=SASLMechanism(at.mechanism)
        )
    return None if at.tls is None else SSLCredentials(at.tls)
