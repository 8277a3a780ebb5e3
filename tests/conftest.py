"""What all tests share: one real broker for the run, whichever of its processes asks first; a topic prefix each."""

import os
import shutil
import tempfile
import uuid
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

from tests import kafka, proof_table

RUN_FOLDER = pytest.StashKey[Path]()


def pytest_configure(config: pytest.Config) -> None:
    """The controlling process makes the run's folder; the workers of pytest-xdist get its name."""
    settings.register_profile("fuzz", max_examples=10_000, deadline=None, print_blob=True)
    handed = getattr(config, "workerinput", {}).get("douse_run_folder")
    config.stash[RUN_FOLDER] = Path(handed or tempfile.mkdtemp(prefix="douse-tests-"))


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    node.workerinput["douse_run_folder"] = str(node.config.stash[RUN_FOLDER])


def pytest_unconfigure(config: pytest.Config) -> None:
    """Only the controlling process ends the broker: a worker may crash, or end while another still tests."""
    if not hasattr(config, "workerinput") and RUN_FOLDER in config.stash:
        kafka.end_shared(config.stash[RUN_FOLDER])
        shutil.rmtree(config.stash[RUN_FOLDER], ignore_errors=True)


@pytest.fixture(scope="session")
def bootstrap(request: pytest.FixtureRequest) -> str:
    """Address of the run's broker: DOUSE_TEST_BOOTSTRAP, or one that the first process to ask starts."""
    return os.environ.get("DOUSE_TEST_BOOTSTRAP") or kafka.shared(request.config.stash[RUN_FOLDER])


@pytest.fixture
def prefix() -> str:
    """A name before all topics of one test, so that tests share nothing but the broker."""
    return f"t{uuid.uuid4().hex[:8]}."


@pytest.fixture(scope="session")
def shared_folder() -> Path:
    """The folder `../shared` beside the project, for samples that real systems wrote; skips where it is not there."""
    folder = Path(__file__).parents[2] / "shared"
    if not folder.is_dir():
        pytest.skip("the samples of ../shared are not on this machine")
    return folder


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--seed", default="", help="repeat a drawn world or a drawn kill point")
    parser.addoption("--proof-table", default="", help="write the table of claims to this file")


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    if config.getoption("--proof-table"):
        proof_table.write(Path(config.getoption("--proof-table")), terminalreporter)
