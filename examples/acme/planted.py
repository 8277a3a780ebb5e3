"""Fifty secrets of each tenant that lie where secrets do lie: in its files, in its log lines, in texts of exceptions.

They are made up from the tenant's name, so that whoever looks for them elsewhere knows them all.
"""

import base64
import random

SECRETS = 50
IN_SERVICE_FILE, IN_CLIENT_FILE = 0, 1
LOGGED_FROM = 2  # the others
ALPHANUMERIC = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"


def secrets(tenant: str) -> tuple[str, ...]:
    """All of them, in several of the usual forms; the same for the same tenant."""
    rng = random.Random(f"secrets of {tenant}")
    return tuple(_secret(number, rng) for number in range(SECRETS))


def line(number: int, secret: str) -> tuple[str, str]:
    """A log line that holds the secret, as careless code writes it, and the message of its exception or none."""
    match number % 6:
        case 0:
            return f"session {7_000 + number} of user u-{number} renewed, token={secret}", ""
        case 1:
            return f'login of user u-{number} refused: password="{secret}" is wrong', ""
        case 2:
            return f"GET /partner/{number} with Authorization: Bearer {secret} took 12 ms", ""
        case 3:
            return "could not open a connection", f"no route to postgresql://reader:{secret}@replica-1:5432/shop"
        case 4:
            return f"exported to s3 with AWS_SECRET_ACCESS_KEY={secret} in {number} parts", ""
        case _:
            return "call failed", f"HTTPError: 401 for https://api.example/v1?api_key={secret}&page={number}"


def _secret(number: int, rng: random.Random) -> str:
    match number % 5:
        case 0:
            return rng.randbytes(16).hex()
        case 1:
            return "".join(rng.choices(ALPHANUMERIC, k=40))
        case 2:
            parts = (base64.urlsafe_b64encode(rng.randbytes(size)).decode().rstrip("=") for size in (27, 60, 32))
            return ".".join(parts)
        case 3:
            return base64.b64encode(rng.randbytes(18)).decode()
        case _:
            return f"{rng.choice(('hunter', 'sunny', 'winter'))}-{''.join(rng.choices(ALPHANUMERIC, k=12))}"
