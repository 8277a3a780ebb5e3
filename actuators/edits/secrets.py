"""What must not leave the host in a diff or an event: values that are named like a secret or look like one.

Erring is on the side of hiding: an author's name that is shown as a hash harms nobody.
"""

import re
from hashlib import blake2b

HASH_BYTES = 6  # enough to see that two secrets are equal, too short to check guesses by it beyond doubt
BLAKE_KEY_BYTES_MAX = 64  # what blake2b takes as a key
RANDOM_LOOK_CHARACTERS = 20  # shorter random keys are rare, shorter ordinary words with digits are not

# Possessive (`++`) and begun only where a run begins: a megabyte of letters takes milliseconds, not hours.
_WITHIN_WORD = re.compile(r"passw|passphrase|secret|token|credential|apikey|accesskey|privatekey", re.IGNORECASE)
_WHOLE_WORD = re.compile(
    r"pass|pwd|pw|keys?|dsn|creds?|private|cert|salt|cookie|bearer|pin|otp|o?auth.*", re.IGNORECASE
)
_WORDS = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+")
_URL_WITH_USER = re.compile(
    r"(?<![a-z0-9+.-])[a-z0-9+.-]++://[^/\s@:]*+:[^/\s@]*+@|[?&](?:password|token|sig|key)=", re.IGNORECASE
)
_KNOWN_FORM = re.compile(
    r"-----BEGIN|\b(?:AKIA|ASIA|AIza|ghp_|gho_|github_pat_|glpat-|xox[abp]-|sk-|[sr]k_live_|eyJ)[A-Za-z0-9_-]{6,}"
)
_ASSIGNED = re.compile(r"(?<![A-Za-z0-9_.-])([A-Za-z0-9_.-]++)[\"']?\s*[:=]\s*\S")
_HEX = re.compile(r"[0-9a-f]+|[0-9A-F]+")
_RUN = re.compile(rf"[A-Za-z0-9+/_=-]{{{RANDOM_LOOK_CHARACTERS},}}")


def named_like_one(name: str) -> bool:
    """True if a key of this name usually holds a secret, e.g. `db_password`, `apiKey`, `SENTRY_DSN`."""
    if _WITHIN_WORD.search(name):
        return True
    return any(_WHOLE_WORD.fullmatch(word) for word in _WORDS.findall(name))


def hides(path: tuple[str, ...], value: str) -> bool:
    """True if the value at this path must appear as a hash only."""
    return any(map(named_like_one, path)) or looks_like_one(value)


def looks_like_one(value: str) -> bool:
    """True if the text itself has the form of a secret: a known prefix, a URL with a password, a long random run."""
    if _URL_WITH_USER.search(value) or _KNOWN_FORM.search(value):
        return True
    return any(_random_look(run) for run in _RUN.findall(value))


def in_text(text: str) -> bool:
    """True if a comment or string assigns something that is named like a secret, or holds what looks like one."""
    return looks_like_one(text) or any(named_like_one(name) for name in _ASSIGNED.findall(text))


def hashed(value: str, salt: bytes) -> str:
    """What stands for a secret: equal secrets look equal, and without the salt nobody can try guesses."""
    return (
        "hash:"
        + blake2b(
            value.encode("utf-8", "surrogateescape"), digest_size=HASH_BYTES, key=salt[:BLAKE_KEY_BYTES_MAX]
        ).hexdigest()
    )


def _random_look(run: str) -> bool:
    """Letters of both cases and digits without a break, or nothing but hexadecimal digits."""
    kinds = (str.isdigit, str.isupper, str.islower)
    return all(any(map(kind, run)) for kind in kinds) or _HEX.fullmatch(run) is not None
