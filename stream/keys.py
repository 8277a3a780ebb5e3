"""Ed25519 key files: who may write specs (operator), commands (detect) and outcomes (one per actuator).

A private key is PEM (PKCS 8) in a file that only its owner can read; its public half stands beside it with the suffix
`.pub`. A key is named by its id, the first 16 hex digits of blake2b of the raw public key.
"""

import os
import re
import stat
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
    load_pem_public_key,
)

from stream.trouble import OperatorNeededError

OPERATOR, COMMAND = "operator", "command"
DEFAULT_ACTUATORS = ("local",)
ACTUATOR_PREFIX = "actuator-"
PRIVATE_SUFFIX, PUBLIC_SUFFIX = ".key", ".pub"
PRIVATE_MODE, PUBLIC_MODE, FOLDER_MODE = 0o600, 0o644, 0o700
OTHERS = stat.S_IRWXG | stat.S_IRWXO
FILE_BYTES_MAX = 10_000  # an Ed25519 PEM is about 120 bytes
KEYID_BYTES = 8
NAME = re.compile(r"[\w][\w.-]*")  # no separator: a key stays in its folder


class KeyFileError(OperatorNeededError):
    """A key file is missing, unsafe or no key; the message names it and what to do."""


@dataclass(frozen=True, slots=True)
class KeyFile:
    """One key of a folder."""

    path: Path
    keyid: str
    private: bool


def keyid(key: Ed25519PublicKey) -> str:
    """16 hex digits that name a public key."""
    raw = key.public_bytes(Encoding.Raw, PublicFormat.Raw)
    return blake2b(raw, digest_size=KEYID_BYTES).hexdigest()


def load_private(path: Path) -> tuple[str, Ed25519PrivateKey]:
    """The key and its id. Raises KeyFileError, also where others than the owner can read the file."""
    data = _read(path, private=True)
    try:
        key = load_pem_private_key(data, password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise KeyFileError(f"{path}: not a private key in PEM: {error}") from error
    if not isinstance(key, Ed25519PrivateKey):
        raise KeyFileError(f"{path}: not an Ed25519 key; make one with `douse keys init`")
    return keyid(key.public_key()), key


def load_public(path: Path) -> tuple[str, Ed25519PublicKey]:
    """The public key and its id. Raises KeyFileError."""
    data = _read(path, private=False)
    try:
        key = load_pem_public_key(data)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise KeyFileError(f"{path}: not a public key in PEM: {error}") from error
    if not isinstance(key, Ed25519PublicKey):
        raise KeyFileError(f"{path}: not an Ed25519 key; make one with `douse keys init`")
    return keyid(key), key


def trusted(paths: Iterable[Path]) -> dict[str, Ed25519PublicKey]:
    """The keys of these files by their ids. Raises KeyFileError."""
    return dict(load_public(path) for path in paths)


def actuators(paths: Iterable[Path]) -> dict[str, str]:
    """The name of the actuator that each of these public keys speaks for, by key id: `actuator-NAME.pub` is NAME's.

    Raises KeyFileError for another file name: a key that spoke for everybody could report for everybody.
    """
    names = {}
    for path in paths:
        if not path.stem.startswith(ACTUATOR_PREFIX) or path.stem == ACTUATOR_PREFIX:
            raise KeyFileError(f"{path}: an actuator's public key is called {ACTUATOR_PREFIX}NAME{PUBLIC_SUFFIX}")
        names[load_public(path)[0]] = path.stem.removeprefix(ACTUATOR_PREFIX)
    return names


def init(folder: Path, actuators: Sequence[str] = DEFAULT_ACTUATORS) -> tuple[KeyFile, ...]:
    """Makes the operator's key, the command key and one key per actuator, and writes both halves of each.

    Nothing is ever overwritten: raises KeyFileError if one of the files is there, before any is written.
    """
    return _make(folder, [OPERATOR, COMMAND, *(_actuator(name) for name in actuators)])


def add(folder: Path, actuator: str) -> tuple[KeyFile, ...]:
    """Makes the key of one more actuator in a folder that is there. Raises KeyFileError, overwrites nothing."""
    if not folder.is_dir():
        raise KeyFileError(f"{folder}: no such folder; make the keys with `douse keys init`")
    return _make(folder, [_actuator(actuator)])


def show(folder: Path) -> tuple[KeyFile, ...]:
    """The keys of a folder with their ids. Raises KeyFileError for one that cannot be used."""
    if not folder.is_dir():
        raise KeyFileError(f"{folder}: no such folder; make the keys with `douse keys init`")
    found = []
    for path in sorted(folder.iterdir()):
        if path.suffix == PRIVATE_SUFFIX:
            found.append(KeyFile(path, load_private(path)[0], True))
        elif path.suffix == PUBLIC_SUFFIX:
            found.append(KeyFile(path, load_public(path)[0], False))
    return tuple(found)


def _actuator(name: str) -> str:
    if not NAME.fullmatch(name):
        raise KeyFileError(f"{name!r} cannot name a key file; use letters, digits, '.', '_' and '-'")
    return f"actuator-{name}"


def _make(folder: Path, names: Sequence[str]) -> tuple[KeyFile, ...]:
    paths = [folder / f"{name}{suffix}" for name in names for suffix in (PRIVATE_SUFFIX, PUBLIC_SUFFIX)]
    there = [str(path) for path in paths if path.exists()]
    if there:
        raise KeyFileError(
            f"{', '.join(there)}: already there, and a key is never overwritten; name another folder, or make the key "
            "of one more actuator with `douse keys add NAME`"
        )
    made = []
    try:
        folder.mkdir(mode=FOLDER_MODE, parents=True, exist_ok=True)
        for name in names:
            key = Ed25519PrivateKey.generate()
            private, public = folder / f"{name}{PRIVATE_SUFFIX}", folder / f"{name}{PUBLIC_SUFFIX}"
            _write(private, key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()), PRIVATE_MODE)
            half = key.public_key()
            _write(public, half.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo), PUBLIC_MODE)
            made += [KeyFile(private, keyid(half), True), KeyFile(public, keyid(half), False)]
    except OSError as error:
        raise KeyFileError(f"{folder}: keys cannot be written: {error}") from error
    return tuple(made)


def _read(path: Path, private: bool) -> bytes:
    """The file's bytes; mode and content are of the same open file, so it cannot be exchanged in between."""
    try:
        with path.open("rb") as file:
            mode = os.fstat(file.fileno()).st_mode
            if private and mode & OTHERS:
                raise KeyFileError(
                    f"{path}: others can read this private key (mode {stat.S_IMODE(mode):04o}); run `chmod 600 {path}`"
                )
            return file.read(FILE_BYTES_MAX)
    except FileNotFoundError as error:
        raise KeyFileError(f"{path}: no such key file; make the keys with `douse keys init`") from error
    except OSError as error:
        raise KeyFileError(f"{path}: cannot be read: {error.strerror}") from error


def _write(path: Path, data: bytes, mode: int) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, mode)
    with os.fdopen(descriptor, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
