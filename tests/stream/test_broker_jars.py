"""Fetching the jars: what is there stays, what is broken comes again, what cannot come is said in one line."""

import functools
import hashlib
import http.server
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from stream.broker import jars
from stream.broker.errors import BrokerError

BODY = b"a jar of a few bytes"
GOOD = hashlib.sha256(BODY).hexdigest()


def listed(*names: str, sha256: str = GOOD) -> str:
    return "".join(f"org.example:{name}:1.0 sha256:{sha256}\n" for name in names)


class Repository(http.server.SimpleHTTPRequestHandler):
    """A Maven repository that remembers what was asked of it; its first answer for the jar `cut` breaks off."""

    asked: list[str]

    def __init__(self, *args: object, asked: list[str], **options: object) -> None:
        self.asked = asked
        super().__init__(*args, **options)  # type: ignore[arg-type]

    def do_GET(self) -> None:
        if self.path.endswith(".jar"):
            name = self.path.rsplit("/", 1)[1]
            self.asked.append(name)
            if name.startswith("cut-") and self.asked.count(name) == 1:
                self.send_response(200)
                self.send_header("Content-Length", str(len(BODY)))
                self.end_headers()
                self.wfile.write(BODY[:5])
                return
        super().do_GET()

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def repository(tmp_path: Path) -> Iterator[tuple[str, list[str]]]:
    root = tmp_path / "repository"
    for name in ("one", "two", "cut"):
        folder = root / "org" / "example" / name / "1.0"
        folder.mkdir(parents=True)
        (folder / f"{name}-1.0.jar").write_bytes(BODY)
    asked: list[str] = []
    handler = functools.partial(Repository, asked=asked, directory=str(root))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}", asked
        server.shutdown()
        thread.join()


def test_the_committed_list_names_every_jar_once() -> None:
    wanted = jars.parse(jars.listing())
    assert len({jar.file for jar in wanted}) == len(wanted) == 45
    assert ("kafka_2.13", "4.4.0") in {(jar.artifact, jar.version) for jar in wanted}


def test_only_what_is_missing_or_broken_is_fetched(tmp_path: Path, repository: tuple[str, list[str]]) -> None:
    url, asked = repository
    where = jars.Source(tmp_path / "cache", url)
    text = listed("one", "two")
    folder = jars.fetch(where, text)
    assert sorted(asked) == ["one-1.0.jar", "two-1.0.jar"]
    (folder / "two-1.0.jar").write_bytes(BODY[:5])
    assert jars.fetch(where, text) == folder
    assert sorted(asked) == ["one-1.0.jar", "two-1.0.jar", "two-1.0.jar"]
    assert {path.name: path.read_bytes() for path in folder.glob("*.jar")} == dict.fromkeys(asked, BODY)
    assert jars.fetch(jars.Source(tmp_path / "cache", "http://127.0.0.1:1"), text) == folder


def test_a_fetch_that_breaks_off_is_made_again(tmp_path: Path, repository: tuple[str, list[str]]) -> None:
    url, asked = repository
    folder = jars.fetch(jars.Source(tmp_path / "cache", url), listed("cut"))
    assert (folder / "cut-1.0.jar").read_bytes() == BODY
    assert asked == ["cut-1.0.jar"] * 2


def test_a_jar_with_other_bytes_never_enters_the_folder(tmp_path: Path, repository: tuple[str, list[str]]) -> None:
    text = listed("one", sha256="0" * 64)
    with pytest.raises(BrokerError, match=r"org\.example:one:1\.0: its bytes do not have the SHA-256"):
        jars.fetch(jars.Source(tmp_path / "cache", repository[0]), text)
    assert not list((tmp_path / "cache").rglob("*.jar"))


def test_a_refusing_network_names_the_artifact_and_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(BrokerError, match=r"cannot fetch org\.example:one:1\.0: .*DOUSE_MAVEN_REPO"):
        jars.fetch(jars.Source(tmp_path, "http://127.0.0.1:1"), listed("one"))


def test_two_fetches_at_once_ask_for_each_jar_once(tmp_path: Path, repository: tuple[str, list[str]]) -> None:
    url, asked = repository
    fetch = functools.partial(jars.fetch, jars.Source(tmp_path / "cache", url), listed("one", "two"))
    threads = [threading.Thread(target=fetch) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(asked) == ["one-1.0.jar", "two-1.0.jar"]


def test_the_cache_is_where_the_environment_says() -> None:
    assert jars.source({"DOUSE_CACHE": "/c", "XDG_CACHE_HOME": "/x"}) == jars.Source(Path("/c"))
    assert jars.source({"XDG_CACHE_HOME": "/x", "DOUSE_MAVEN_REPO": "http://m"}) == jars.Source(
        Path("/x/douse"), "http://m"
    )
