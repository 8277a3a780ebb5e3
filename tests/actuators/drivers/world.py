"""Real child processes beside a real file, for the tests of whatever changes them."""

import contextlib
import json
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from schemas.actuator import FileTarget, Process

SCRIPT = Path(__file__).with_name("target.py")
START_S = 20.0
CONFIG = b'# ours\r\n[pool]\r\nname = "orders"\r\nsize = 32 # connections\r\npassword = "hunter2"\r\n'


@dataclass(slots=True)
class World:
    """One target: its folder, its file, its processes by name."""

    folder: Path
    target: FileTarget
    children: dict[str, subprocess.Popen[bytes]]

    @property
    def file(self) -> Path:
        return self.folder / self.target.file

    def says(self, name: str) -> dict[str, Any]:
        """What a process answers over HTTP."""
        port = (self.folder / f"{name}.port").read_text()
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=5) as answer:
            said: dict[str, Any] = json.loads(answer.read())
            return said

    def size(self, name: str) -> int:
        return int(self.says(name)["pool"]["size"])


@contextlib.contextmanager
def world(
    folder: Path,
    manners: dict[str, str],
    live_ms_max: int = 3_000,
    file: str = "shop.toml",
    content: bytes = CONFIG,
    **more: Any,
) -> Iterator[World]:
    """Processes with these manners (see target.py), running until the end of the block."""
    (folder / file).write_bytes(content)
    children = {}
    try:
        for name, manner in manners.items():
            children[name] = subprocess.Popen(
                [sys.executable, str(SCRIPT), str(folder / file), str(folder), name, manner]
            )
        processes = tuple(_process(folder, name, manner) for name, manner in manners.items())
        fields: dict[str, Any] = {
            "id": "pool",
            "tenants": ("acme",),
            "parameter": "pool_size",
            "file": file,
            "key": "pool.size",
        }
        fields |= {"minimum": 8, "maximum": 100, "live_ms_max": live_ms_max, "processes": processes}
        yield World(folder, FileTarget(**{**fields, **more}), children)
    finally:
        for child in children.values():
            child.kill()
            child.wait()


def _process(folder: Path, name: str, manner: str) -> Process:
    port = folder / f"{name}.port"
    deadline_s = time.monotonic() + START_S
    while not port.exists():
        assert time.monotonic() < deadline_s, f"{name} did not start"
        time.sleep(0.01)
    return Process(
        name=name,
        pid_file=f"{name}.pid",
        signal="none" if manner == "watches" else "SIGHUP",
        probe_url=f"http://127.0.0.1:{port.read_text()}/",
        probe_field="pool.size",
    )
