"""The alert rules: documented, understood by Prometheus, quiet while all is well, and told in time when it is not."""

import json
import re
import shutil
import subprocess
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml

from stream.health.act import ActFamilies
from stream.health.detect import DetectFamilies
from stream.health.ingest import IngestFamilies
from tests.faults import harness, pipeline
from tests.stream.health.exposition import free_address, get

ROOT = Path(__file__).parents[3]
RULES = ROOT / "deploy" / "alerts.yaml"
OPERATING = (ROOT / "docs" / "operating.md").read_text()
SCRAPE_S = 15  # Prometheus users' usual interval, and the longest that the rules are made for
TOLD_S_MAX = 60.0

ALERTS: dict[str, Any] = {
    rule["alert"]: rule for group in yaml.safe_load(RULES.read_text())["groups"] for rule in group["rules"]
}


def families() -> set[str]:
    found = (ActFamilies(), DetectFamilies(lambda: 0.0), IngestFamilies((), lambda: 0.0))
    names = {
        family.name + ("_total" if family.type == "counter" else "_info" if family.type == "info" else "")
        for one in found
        for family in one.registry.collect()
    }
    return {name for name in names if name.startswith("douse_")}


def tool(name: str) -> str:
    path = shutil.which(name)
    if path is None:
        pytest.skip(f"no {name} on the PATH (Debian and Ubuntu: apt-get install prometheus)")
    return path


def test_every_alarm_says_what_it_means_and_the_pages_say_what_to_do() -> None:
    for name, rule in ALERTS.items():
        assert {"summary", "description"} <= rule["annotations"].keys()
        assert rule["labels"]["severity"] in ("page", "ticket")
        assert f"`{name}`" in OPERATING


def test_every_metric_is_documented_and_the_rules_use_no_other() -> None:
    known = families()
    assert not {name for name in known if f"`{name}`" not in OPERATING}
    used = {name for rule in ALERTS.values() for name in re.findall(r"\bdouse_\w+", rule["expr"])}
    assert used <= known


def test_prometheus_reads_the_rules() -> None:
    done = subprocess.run([tool("promtool"), "check", "rules", str(RULES)], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr


def timeline(series: dict[str, str], at: str, **expected: list[dict[str, str]]) -> dict[str, Any]:
    alerts = []
    for name, labels in expected.items():
        severity = {"severity": ALERTS[name]["labels"]["severity"]}
        alerts.append(
            {"eval_time": at, "alertname": name, "exp_alerts": [{"exp_labels": severity | one} for one in labels]}
        )
    values = [{"series": name, "values": text} for name, text in series.items()]
    return {"interval": "15s", "input_series": values, "alert_rule_test": alerts}


def test_the_rules_fire_when_they_should_and_not_before(tmp_path: Path) -> None:
    """Annotations are compared by promtool as well, so the copy under test has none."""
    tree = yaml.safe_load(RULES.read_text())
    for rule in tree["groups"][0]["rules"]:
        rule["annotations"] = {}
    (tmp_path / "rules.yaml").write_text(yaml.safe_dump(tree))
    beat = 'douse_heartbeat_timestamp_seconds{app="%s",instance="i",job="douse"}'
    alive = {beat % app: "0+15x40" for app in ("ingest", "detect", "act")}
    dead = {beat % app: "0+15x8 _x40" for app in ("ingest", "detect", "act")}
    one = {"instance": "i", "job": "douse"}
    gone: list[dict[str, str]] = [{"app": "detect"}]
    cases = [
        timeline(alive, "9m", DouseIngestGone=[], DouseDetectGone=[], DouseActGone=[]),
        timeline({}, "1m", DouseDetectGone=gone, DouseActGone=[]),
        timeline(alive | {beat % "detect": "0+15x8 120x30"}, "4m", DouseDetectGone=[{}], DouseIngestGone=[]),
        timeline(alive | {beat % "ingest": "0+15x8 120x30"}, "4m", DouseIngestGone=[{}], DouseDetectGone=[]),
        timeline(dead, "4m", DouseActGone=[one]),
        timeline({'douse_stalled{instance="i"}': "0x4 1x4"}, "1m", DouseStalled=[]),
        timeline({'douse_stalled{instance="i"}': "0x4 1x4"}, "90s", DouseStalled=[{"instance": "i"}]),
        timeline(
            {'douse_shard_lag_records{shard="0"}': "5x40", 'douse_shard_position{shard="0"}': "9x40"},
            "5m",
            DousePositionsStand=[{"shard": "0"}],
        ),
        timeline(
            {'douse_shard_lag_records{shard="0"}': "5x40", 'douse_shard_position{shard="0"}': "9+9x40"},
            "5m",
            DousePositionsStand=[],
        ),
        timeline({'douse_shard_lag_seconds{shard="1"}': "0x4 9x20"}, "3m", DouseLagHigh=[{"shard": "1"}]),
        timeline({'douse_shard_stale{shard="1"}': "0x4 1x20"}, "3m", DouseSourceStale=[{"shard": "1"}]),
        timeline(
            {
                'douse_source_newest_event_timestamp_seconds{topic="otlp_spans"}': "0x40",
                'douse_source_newest_event_timestamp_seconds{topic="x.douse.control"}': "0x40",
            },
            "4m",
            DouseSourceNotFresh=[{"topic": "otlp_spans"}],
        ),
        timeline({'douse_dead_letters_total{topic="t"}': "0x8 3x40"}, "3m", DouseRecordsRejected=[{"topic": "t"}]),
        timeline({'douse_dead_letters_total{topic="t"}': "3x40"}, "6m", DouseRecordsRejected=[]),
        timeline({'douse_snapshot_timestamp_seconds{shard="2"}': "0x90"}, "17m", DouseSnapshotFailing=[{"shard": "2"}]),
        timeline({'douse_snapshot_timestamp_seconds{shard="2"}': "0+15x90"}, "17m", DouseSnapshotFailing=[]),
        timeline(
            {'douse_outcomes_total{instance="i",status="unknown"}': "0x4 1x20"}, "2m",
            DouseOutcomeUnknown=[{"instance": "i"}],
        ),
        timeline({'up{instance="i",job="douse"}': "1x4 0x20"}, "3m", DouseWorkerDown=[one]),
        timeline(
            {'process_start_time_seconds{instance="i",job="douse"}': "0+9x60",
             'douse_build_info{instance="i",job="douse",app="act"}': "1x60"},
            "10m", DouseRestarting=[one],
        ),
    ]  # fmt: skip
    test = {"rule_files": ["rules.yaml"], "evaluation_interval": "5s", "tests": cases}
    (tmp_path / "test.yaml").write_text(yaml.safe_dump(test))
    command = [tool("promtool"), "test", "rules", "test.yaml"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr


@contextmanager
def prometheus(folder: Path, targets: list[str]) -> Iterator[str]:
    """A real server that scrapes the targets and runs the rules; the value is its address."""
    address = free_address()
    config = {
        "global": {"scrape_interval": f"{SCRAPE_S}s", "evaluation_interval": f"{SCRAPE_S}s"},
        "rule_files": [str(RULES)],
        "scrape_configs": [{"job_name": "douse", "static_configs": [{"targets": targets}]}],
    }
    (folder / "prometheus.yml").write_text(yaml.safe_dump(config))
    command = [
        tool("prometheus"),
        f"--config.file={folder / 'prometheus.yml'}",
        f"--storage.tsdb.path={folder / 'tsdb'}",
    ]
    command.append(f"--web.listen-address={address}")
    with (folder / "prometheus.log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log)
    try:
        harness.until(lambda: get(address, "/-/ready")[0] == 200, "Prometheus is ready")
        yield address
    finally:
        process.terminate()
        process.wait(20)


def firing(address: str) -> set[str]:
    with urllib.request.urlopen(f"http://{address}/api/v1/alerts", timeout=5) as answer:
        alerts = json.load(answer)["data"]["alerts"]
    return {one["labels"]["alertname"] for one in alerts if one["state"] == "firing"}


@pytest.mark.broker
@pytest.mark.proof
def test_a_killed_worker_is_reported_within_a_minute(
    bootstrap: str, prefix: str, tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    tool("prometheus")
    made = pipeline.world(bootstrap, prefix, tmp_path)
    addresses = {"ingest": free_address(), "detect": free_address()}
    with (tmp_path / "douse.toml").open("a") as file:
        file.writelines(f'{app}_metrics_address = "{address}"\n' for app, address in addresses.items())
    with pipeline.workers(made, 1) as kept:
        for app in addresses:
            kept.start(app, 0)
        for app, address in addresses.items():
            harness.until(lambda address=address: get(address, "/readyz")[0] == 200, f"{app} is ready")
        with pipeline.load(made, "alerts"), prometheus(tmp_path, list(addresses.values())) as server:
            time.sleep(3 * SCRAPE_S + 20)  # longer than any of the rules that must not fire waits
            quiet = {name for name in firing(server) if name.endswith(("Gone", "Stalled", "Down"))}
            assert not quiet
            kept.running["detect", 0].kill()
            killed_s = time.monotonic()
            harness.until(lambda: "DouseDetectGone" in firing(server), "the alarm", TOLD_S_MAX + 5, 0.5)
            took_s = time.monotonic() - killed_s
            assert "DouseIngestGone" not in firing(server)
    claim = ("a killed detect is reported by Prometheus within 60 s", f"{took_s:.1f} s", took_s <= TOLD_S_MAX)
    record_property("claim", claim)
    assert took_s <= TOLD_S_MAX
