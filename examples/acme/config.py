"""The configuration file that the service and the worker of one tenant share: TOML, read at start and on SIGHUP."""

import tomllib
from dataclasses import dataclass
from pathlib import Path

POOL_SIZE_MAX = 1_000  # a larger number is a slip of the finger: the replica itself takes 80 queries at once
TIMEOUT_MS_MAX = 60_000  # longer than any browser waits
GENERATION_MAX = 1_000_000  # one more for each restart


class ConfigError(ValueError):
    """The file is not usable; the text says which key and why."""


@dataclass(frozen=True, slots=True)
class Config:
    pool_name: str
    pool_size: int
    acquire_timeout_ms: int
    database: str
    address: str
    endpoints: dict[str, bool]
    generation: int
    """Of the service's workers: another number than the running one has them recycled."""


def read(path: Path) -> Config:
    """The file as a Config; ConfigError if it is missing, torn, or holds something else than expected."""
    try:
        return parse(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path.name}: {error}") from error


def parse(text: str) -> Config:
    try:
        tree = tomllib.loads(text)
        replica, endpoints = tree["database"]["replica"], tree["endpoints"]
        config = Config(
            pool_name=replica["pool_name"],
            pool_size=replica["pool_size"],
            acquire_timeout_ms=replica["acquire_timeout_ms"],
            database=replica["database"],
            address=replica["address"],
            endpoints=dict(endpoints),
            generation=tree["server"]["generation"],
        )
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"not TOML: {error}") from error
    except (KeyError, TypeError) as error:
        raise ConfigError(f"a key is missing or of another kind: {error}") from error
    _check_number("database.replica.pool_size", config.pool_size, POOL_SIZE_MAX)
    _check_number("database.replica.acquire_timeout_ms", config.acquire_timeout_ms, TIMEOUT_MS_MAX)
    _check_number("server.generation", config.generation, GENERATION_MAX)
    for name, on in config.endpoints.items():
        if not isinstance(on, bool):
            raise ConfigError(f"endpoints.{name}: expected true or false, found {on!r}")
    return config


def _check_number(key: str, value: object, maximum: int) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= maximum:
        raise ConfigError(f"{key}: expected a whole number from 1 to {maximum}, found {value!r}")
