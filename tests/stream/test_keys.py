"""Key files are private, never overwritten, and refused where others could read them."""

import os
import stat
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from schemas import signing
from stream import keys


def test_init_makes_private_files_and_public_ones_of_the_same_keys(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        made = keys.init(tmp_path / "new", ["web-1", "web-2"])
    finally:
        os.umask(before)
    names = ["operator", "command", "actuator-web-1", "actuator-web-2"]
    assert [each.path.name for each in made] == [f"{name}.{half}" for name in names for half in ("key", "pub")]
    assert {stat.S_IMODE(each.path.stat().st_mode) for each in made if each.private} == {0o600}
    assert stat.S_IMODE((tmp_path / "new").stat().st_mode) == 0o700
    for private, public in zip(made[::2], made[1::2], strict=True):
        assert private.keyid == public.keyid
        assert len(private.keyid) == 16
    assert sorted(keys.show(tmp_path / "new"), key=str) == sorted(made, key=str)


def test_one_more_actuator_gets_a_key_and_the_others_keep_theirs(tmp_path: Path) -> None:
    made = keys.init(tmp_path / "keys")
    added = keys.add(tmp_path / "keys", "web-7")
    assert [each.path.name for each in added] == ["actuator-web-7.key", "actuator-web-7.pub"]
    assert sorted(keys.show(tmp_path / "keys"), key=str) == sorted((*made, *added), key=str)
    with pytest.raises(keys.KeyFileError, match="already there, and a key is never overwritten"):
        keys.add(tmp_path / "keys", "web-7")
    with pytest.raises(keys.KeyFileError, match="no such folder; make the keys with `douse keys init`"):
        keys.add(tmp_path / "nowhere", "web-7")
    for name in ("../web", "", "a/b", ".."):
        with pytest.raises(keys.KeyFileError, match="cannot name a key file"):
            keys.add(tmp_path / "keys", name)


def test_what_a_private_key_signs_its_public_half_confirms(tmp_path: Path) -> None:
    keys.init(tmp_path)
    keyid, private = keys.load_private(tmp_path / "operator.key")
    trusted = keys.trusted([tmp_path / "operator.pub", tmp_path / "command.pub"])
    signature = signing.sign(private, "t", "i", "s", {"a": 1})
    assert signing.holds(trusted[keyid], signature, "t", "i", "s", {"a": 1})
    other = keys.load_private(tmp_path / "command.key")[0]
    assert not signing.holds(trusted[other], signature, "t", "i", "s", {"a": 1})


def test_nothing_is_overwritten_and_nothing_half_made(tmp_path: Path) -> None:
    (tmp_path / "command.pub").write_text("mine")
    with pytest.raises(keys.KeyFileError, match=r"command\.pub: already there"):
        keys.init(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["command.pub"]
    assert (tmp_path / "command.pub").read_text() == "mine"


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o644])
def test_a_private_key_that_others_can_read_is_refused(tmp_path: Path, mode: int) -> None:
    keys.init(tmp_path)
    path = tmp_path / "operator.key"
    path.chmod(mode)
    with pytest.raises(keys.KeyFileError, match=rf"mode {mode:04o}\); run `chmod 600"):
        keys.load_private(path)


def test_a_public_key_may_be_readable_by_all(tmp_path: Path) -> None:
    keys.init(tmp_path)
    (tmp_path / "operator.pub").chmod(0o644)
    assert keys.load_public(tmp_path / "operator.pub")[0] == keys.load_private(tmp_path / "operator.key")[0]


def test_what_is_no_key_is_refused_by_name(tmp_path: Path) -> None:
    keys.init(tmp_path)
    with pytest.raises(keys.KeyFileError, match="no such key file; make the keys with `douse keys init`"):
        keys.load_private(tmp_path / "absent.key")
    torn = tmp_path / "torn.key"
    torn.write_bytes((tmp_path / "operator.key").read_bytes()[:60])
    torn.chmod(0o600)
    with pytest.raises(keys.KeyFileError, match=r"torn\.key: not a private key in PEM"):
        keys.load_private(torn)
    with pytest.raises(keys.KeyFileError, match="not a public key in PEM"):
        keys.load_public(torn)
    rsa = tmp_path / "rsa.key"
    rsa.write_bytes(generate_private_key(65_537, 2048).private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    rsa.chmod(0o600)
    with pytest.raises(keys.KeyFileError, match="not an Ed25519 key"):
        keys.load_private(rsa)
