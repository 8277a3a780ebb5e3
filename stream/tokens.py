"""Access tokens for OAUTHBEARER: got with the client's credentials, kept, and renewed before they run out."""

import asyncio
import base64
import json
import time
from dataclasses import dataclass, field

import aiohttp
from aiokafka.abc import AbstractTokenProvider
from aiokafka.errors import KafkaConnectionError

REQUEST_S_MAX = 10.0
LIFE_S_DEFAULT = 300.0  # a server need not say how long a token lasts (RFC 6749, 5.1)
LIFE_USED = 0.8  # a token is renewed when so much of its life is over
ANSWER_BYTES_MAX = 100_000
ANSWER_CHARS_SHOWN = 200


class TokenError(KafkaConnectionError):  # type: ignore[misc]  # aiokafka has no types
    """No token came: Kafka's clients try again as they do when a broker is away."""


@dataclass(frozen=True, slots=True)
class Client:
    """Who asks for tokens, and where (RFC 6749, 4.4)."""

    url: str
    name: str
    secret: str = field(repr=False)
    scope: str = ""


class Tokens(AbstractTokenProvider):  # type: ignore[misc]  # aiokafka has no types
    """One token for all connections of a process. A connection that stands keeps the one that it began with."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._token = ""
        self._renew_s = 0.0
        self._asking: asyncio.Task[None] | None = None

    async def token(self) -> str:
        """A token that is still good. Raises TokenError."""
        if time.monotonic() >= self._renew_s:
            loop = asyncio.get_running_loop()
            if self._asking is None or self._asking.done() or self._asking.get_loop() is not loop:
                self._asking = loop.create_task(self._ask())
            await asyncio.shield(self._asking)
        return self._token

    async def _ask(self) -> None:
        form = {"grant_type": "client_credentials"} | ({"scope": self._client.scope} if self._client.scope else {})
        login = "Basic " + base64.b64encode(f"{self._client.name}:{self._client.secret}".encode()).decode()
        limit = aiohttp.ClientTimeout(total=REQUEST_S_MAX)
        try:
            async with (
                aiohttp.ClientSession(timeout=limit, headers={"Authorization": login}) as session,
                session.post(self._client.url, data=form, allow_redirects=False) as response,
            ):
                body = (await response.content.read(ANSWER_BYTES_MAX)).decode(errors="replace")
                if response.status != 200:
                    raise TokenError(f"{self._client.url} answered {response.status}: {body[:ANSWER_CHARS_SHOWN]}")
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise TokenError(f"{self._client.url} cannot be asked for a token: {error!r}") from error
        self._take(body)

    def _take(self, body: str) -> None:
        try:
            answer = json.loads(body)
            token, life_s = answer["access_token"], float(answer.get("expires_in", LIFE_S_DEFAULT))
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise TokenError(f"{self._client.url} answered without an access_token") from error
        self._token = str(token)
        self._renew_s = time.monotonic() + LIFE_USED * life_s
