"""The Faust app: the settings without which records are lost, counted twice or held for ever."""

from pathlib import Path

import pytest
from faust import streams

from stream import settings
from stream.faustlib import app, recovery


def made(tmp_path: Path, kind: str = "detect") -> object:
    wanted = settings.Settings(
        bootstrap="a:1,b:2",
        group_prefix="g",
        data_folder=tmp_path / "x" / "y",
        session_s=12,
        heartbeat_s=2,
        rebalance_s=20,
    )
    return app.make(wanted, kind)


def test_the_app_is_at_least_once_without_tables_topics_of_its_own_or_a_web_server(tmp_path: Path) -> None:
    conf = made(tmp_path).conf  # type: ignore[attr-defined]
    assert conf.id == "g-detect"
    assert [str(each) for each in conf.broker] == ["kafka://a:1", "kafka://b:2"]
    assert (conf.broker_session_timeout, conf.broker_heartbeat_interval, conf.broker_rebalance_timeout) == (12, 2, 20)
    assert conf.processing_guarantee.value == "at_least_once"
    assert conf.consumer_auto_offset_reset == "earliest"
    assert conf.producer_acks == -1
    assert str(conf.store) == "memory:"
    assert not any((conf.stream_wait_empty, conf.topic_allow_declare, conf.web_enabled, conf.table_standby_replicas))
    assert conf.topic_disable_leader
    assert conf.TableManager is recovery.SafeTableManager
    assert conf.datadir.parent.is_dir()


def test_each_kind_has_its_own_buffer(tmp_path: Path) -> None:
    sizes = {kind: made(tmp_path, kind).conf.stream_buffer_maxsize for kind in ("ingest", "detect")}  # type: ignore[attr-defined]
    assert sizes == {"ingest": 256, "detect": 1024}


def test_without_fausts_compiled_iterator_no_app_is_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streams, "_CStreamIterator", None)
    with pytest.raises(AssertionError, match="Cython"):
        made(tmp_path)
