"""Identity: single sign-on by OpenID Connect, for holders whom another service knows already.

Authorization code with PKCE, state and nonce, which are keyed hashes of one random ticket in the
browser that began: nothing is stored, and an answer that another browser began proves nothing. What
the provider says is believed only as an ID token signed by its published keys, for us, for this
ticket and in time.

Source: OpenID Connect Core 1.0, 3.1.3.7; RFC 7636; RFC 9700.
"""

import asyncio
import base64
import datetime
import functools
import hashlib
import hmac
import logging
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, TypeVar
from urllib.parse import quote_plus, urlencode

import httpx
import msgspec
from joserfc import jwt
from joserfc.jwk import KeySet

from service.ground.errors import IdentityUnproven
from service.registry.vault import Lookup

_log = logging.getLogger(__name__)

Answer = TypeVar("Answer")

TICKET_SECONDS = 600
_ALGORITHMS = ["RS256", "PS256", "ES256"]
_LEEWAY_SECONDS = 60
_WAIT_SECONDS = 10
_ANSWER_BYTES_MAX = 1 << 20


class Person(msgspec.Struct, frozen=True):
    """Who somebody is, as the provider says."""

    name: str
    id_number: str


class _Endpoints(msgspec.Struct, frozen=True):
    issuer: str
    authorization_endpoint: str
    token_endpoint: str
    jwks_uri: str


class _Tokens(msgspec.Struct, frozen=True):
    id_token: str


class Provider(msgspec.Struct, frozen=True, kw_only=True):
    """A provider, what we are to it, and which of its claims hold name and document number."""

    issuer: str
    client_id: str
    client_secret: str
    scope: str
    name_claim: str
    id_claim: str
    lookup: Lookup

    async def address(self, ticket: str, return_to: str) -> str:
        """Return where a browser that keeps this ticket is to sign in.

        Raises: IdentityUnproven, where the provider does not answer.
        """
        challenge = hashlib.sha256(self._derived("verifier", ticket).encode()).digest()
        async with _asking() as client:
            endpoints = await self._endpoints(client)
        asked = urlencode(
            {
                "response_type": "code",
                "client_id": self.client_id,
                "redirect_uri": return_to,
                "scope": self.scope,
                "state": self._derived("state", ticket),
                "nonce": self._derived("nonce", ticket),
                "code_challenge": _text(challenge),
                "code_challenge_method": "S256",
            }
        )
        joint = "&" if "?" in endpoints.authorization_endpoint else "?"
        return f"{endpoints.authorization_endpoint}{joint}{asked}"

    async def prove(
        self, ticket: str, return_to: str, *, state: str, code: str, now: datetime.datetime
    ) -> Person:
        """Return who the provider says has signed in.

        Raises: IdentityUnproven, where anything at all is not as it should be.
        """
        until = ticket.partition(".")[0]
        expected = self._derived("state", ticket)
        same = hmac.compare_digest(state.encode("utf-8", "replace"), expected.encode())
        if not (same and until.isdecimal() and int(until) > now.timestamp()):
            raise IdentityUnproven
        async with _asking() as client:
            endpoints = await self._endpoints(client)
            tokens = await self._exchange(client, endpoints, ticket, return_to, code)
            published: Any = await _fetch(client, "GET", endpoints.jwks_uri, dict)
            keys = KeySet.import_key_set(published)
            claims = self._claims(tokens.id_token, keys, self._derived("nonce", ticket), now)
            return msgspec.convert(
                {"name": claims.get(self.name_claim), "id_number": claims.get(self.id_claim)},
                Person,
            )

    async def _endpoints(self, client: httpx.AsyncClient) -> _Endpoints:
        address = f"{self.issuer.rstrip('/')}/.well-known/openid-configuration"
        endpoints = await _fetch(client, "GET", address, _Endpoints)
        if endpoints.issuer != self.issuer:
            raise IdentityUnproven
        return endpoints

    async def _exchange(
        self,
        client: httpx.AsyncClient,
        endpoints: _Endpoints,
        ticket: str,
        return_to: str,
        code: str,
    ) -> _Tokens:
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": return_to,
            "client_id": self.client_id,
            "code_verifier": self._derived("verifier", ticket),
        }
        secret = (quote_plus(self.client_id), quote_plus(self.client_secret))
        auth = httpx.BasicAuth(*secret) if self.client_secret else httpx.USE_CLIENT_DEFAULT
        return await _fetch(client, "POST", endpoints.token_endpoint, _Tokens, data=form, auth=auth)

    def _claims(
        self, id_token: str, keys: KeySet, nonce: str, now: datetime.datetime
    ) -> dict[str, Any]:
        claims = jwt.decode(id_token, keys, algorithms=_ALGORITHMS).claims
        jwt.JWTClaimsRegistry(
            now=int(now.timestamp()),
            leeway=_LEEWAY_SECONDS,
            iss={"essential": True, "value": self.issuer},
            aud={"essential": True, "value": self.client_id},
            exp={"essential": True},
            iat={"essential": True},
            nonce={"essential": True, "value": nonce},
            azp={"value": self.client_id},
        ).validate(claims)
        return claims

    def _derived(self, use: str, ticket: str) -> str:
        return _text(self.lookup.keyed(f"oidc-{use}", ticket.encode("utf-8", "replace")))


@asynccontextmanager
async def _asking() -> AsyncIterator[httpx.AsyncClient]:
    """Talk to the provider; whatever goes wrong proves nothing, and the log names its kind."""
    try:
        async with asyncio.timeout(_WAIT_SECONDS), httpx.AsyncClient(verify=_trusted()) as client:
            yield client
    except Exception as error:  # a provider can answer wrongly in every way
        _log.warning("identity:provider:unproven %s", type(error).__name__)
        raise IdentityUnproven from error


@functools.cache
def _trusted() -> ssl.SSLContext:
    """Load the certificates that prove a provider's address; that takes longer than to ask it."""
    return httpx.create_ssl_context()


async def _fetch(
    client: httpx.AsyncClient, method: str, address: str, kind: type[Answer], **sent: Any
) -> Answer:
    """Ask, and read an answer of a sensible size."""
    content = b""
    async with client.stream(method, address, **sent) as response:
        async for part in response.raise_for_status().aiter_bytes():
            content += part
            if len(content) > _ANSWER_BYTES_MAX:
                raise IdentityUnproven
    return msgspec.json.decode(content, type=kind)


def _text(words: bytes) -> str:
    return base64.urlsafe_b64encode(words).decode().rstrip("=")
