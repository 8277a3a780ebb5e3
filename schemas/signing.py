"""Ed25519 over the canonical form of an event, so that write access to a topic is not the right to act."""

from base64 import b64decode, b64encode
from binascii import Error as NotBase64
from collections.abc import Mapping

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from schemas import canonical
from schemas.canonical import Json


def signed_bytes(ce_type: str, ce_id: str, ce_source: str, data: Json) -> bytes:
    """What a signature covers. The time and the transport headers are left out: repeats keep their bytes."""
    return canonical.dumps({"data": data, "id": ce_id, "source": ce_source, "type": ce_type})


def sign(key: Ed25519PrivateKey, ce_type: str, ce_id: str, ce_source: str, data: Json) -> str:
    """Base64 of the 64 byte signature."""
    return b64encode(key.sign(signed_bytes(ce_type, ce_id, ce_source, data))).decode()


def holds(key: Ed25519PublicKey, signature: str, ce_type: str, ce_id: str, ce_source: str, data: Json) -> bool:
    """True if `signature` was made by the owner of `key` over exactly this event."""
    try:
        key.verify(b64decode(signature, validate=True), signed_bytes(ce_type, ce_id, ce_source, data))
    except (InvalidSignature, NotBase64, TypeError, ValueError):
        return False
    return True


def signer(
    keys: Mapping[str, Ed25519PublicKey],
    keyid: str,
    signature: str,
    ce_type: str,
    ce_id: str,
    ce_source: str,
    data: Json,
) -> str | None:
    """The key id that is trusted and whose signature holds, else None."""
    key = keys.get(keyid)
    return keyid if key is not None and holds(key, signature, ce_type, ce_id, ce_source, data) else None
