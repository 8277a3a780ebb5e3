"""`douse broker` says where it is, and takes the port where everybody looks first."""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from stream.broker import process, serve
from stream.broker.process import Identity


@dataclass
class Stub:
    """A broker that has already ended."""

    folder: Path
    identity: Identity
    log: Path = Path("broker.log")

    @property
    def bootstrap(self) -> str:
        return f"{process.HOST}:{self.identity.port}"

    def alive(self) -> bool:
        return False

    def log_tail(self) -> str:
        return ""


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[int | None]:
    """The ports that a broker was started with; without one it gets 4711."""
    ports: list[int | None] = []

    @contextlib.contextmanager
    def running(folder: Path, port: int | None) -> Iterator[Stub]:
        ports.append(port)
        yield Stub(folder, Identity("c", port or 4711, 1))

    monkeypatch.setattr(process, "running", running)
    return ports


def test_the_usual_port_is_taken_when_it_is_free(
    asked: list[int | None], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(process, "is_free", lambda _port: True)
    serve.serve(Path("x"))
    assert asked == [9092]
    assert "export" not in capsys.readouterr().out


def test_elsewhere_it_prints_what_to_set(
    asked: list[int | None], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(process, "is_free", lambda _port: False)
    serve.serve(Path("x"))
    serve.serve(Path("x"), 5000)
    assert asked == [None, 5000]
    exports = [line for line in capsys.readouterr().out.splitlines() if line.startswith("export")]
    assert exports == ["export DOUSE_BOOTSTRAP=127.0.0.1:4711", "export DOUSE_BOOTSTRAP=127.0.0.1:5000"]
