"""Single sign-on: a small provider on loopback, honest at first, and every way to be otherwise."""

import asyncio
import base64
import contextlib
import datetime
import hashlib
import hmac
import socket
import time
import uuid
from collections.abc import AsyncIterator, Callable
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import msgspec
import pytest
import uvicorn
from joserfc import jwt
from joserfc.jwk import ECKey, KeySet, RSAKey

from service import wiring
from service.ground.errors import IdentityUnproven, SettingRefused
from service.web import app, identity
from service.web.identity import Provider
from service.web.site import Site
from tests.town import Town

CLIENT, SECRET = "qianfa", "s3cret/+:"
RETURN_TO = "http://test/me/identity/back"
KEY = ECKey.generate_key("P-256", {"kid": "one", "use": "sig"})
RSA = RSAKey.generate_key(2048, {"kid": "two", "use": "sig"})
OTHER = ECKey.generate_key("P-256", {"kid": "one"})


class Desk:
    """The provider: who signs in, what it says of itself and how it signs."""

    def __init__(self, issuer: str) -> None:
        self.issuer = issuer
        self.person: dict[str, Any] = {}
        self.codes: dict[str, dict[str, str]] = {}
        self.metadata: dict[str, Any] = {
            "issuer": issuer,
            "authorization_endpoint": f"{issuer}/sign-in",
            "token_endpoint": f"{issuer}/token",
            "jwks_uri": f"{issuer}/keys",
        }
        self.header = {"alg": "ES256", "kid": "one"}
        self.key: Any = KEY
        self.claims: dict[str, Any] = {}
        self.encode: Callable[[dict[str, Any]], str] = self._encode
        self.published: Any = KeySet([KEY, RSA]).as_dict(private=False)

    def sign_in(self, address: str) -> dict[str, str]:
        """Be a person who signs in; return what the browser brings back."""
        asked = {name: values[0] for name, values in parse_qs(urlsplit(address).query).items()}
        assert asked["response_type"] == "code"
        assert asked["client_id"] == CLIENT
        assert asked["redirect_uri"] == RETURN_TO
        assert asked["code_challenge_method"] == "S256"
        assert "openid" in asked["scope"].split()
        code = uuid.uuid4().hex
        self.codes[code] = asked
        return {"code": code, "state": asked["state"]}

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Answer over HTTP."""
        body = (await receive()).get("body", b"")
        path = scope["path"]
        if path.endswith("/openid-configuration"):
            answer: Any = self.metadata
        elif path == "/keys":
            answer = self.published
        elif path == "/large":
            answer = self.published | {"more": " " * (1 << 20)}
        elif path == "/slow":
            await _drip(send, msgspec.json.encode(self.published))
            return
        else:
            headers = {name.decode(): value.decode() for name, value in scope["headers"]}
            answer = self._exchange(headers, body.decode())
        status = 400 if answer is None else 200
        await send({"type": "http.response.start", "status": status, "headers": []})
        await send({"type": "http.response.body", "body": msgspec.json.encode(answer)})

    def _exchange(self, headers: dict[str, str], body: str) -> Any:
        """Give an ID token for a code, once, to whoever knows its verifier and our secret."""
        form = {name: values[0] for name, values in parse_qs(body).items()}
        asked = self.codes.pop(form["code"], None)
        digest = hashlib.sha256(form["code_verifier"].encode()).digest()
        challenge = base64.urlsafe_b64encode(digest).decode().rstrip("=")
        known = base64.b64encode(b"qianfa:s3cret%2F%2B%3A").decode()
        if (
            asked is None
            or asked["code_challenge"] != challenge
            or form["redirect_uri"] != asked["redirect_uri"]
            or headers.get("authorization") != f"Basic {known}"
        ):
            return None
        now = int(time.time())
        claims = {
            "iss": self.issuer, "aud": CLIENT, "sub": "1", "iat": now, "exp": now + 300,
            "nonce": asked["nonce"], **self.person,
        }  # fmt: skip
        claims |= self.claims
        claims = {name: value for name, value in claims.items() if value is not None}
        return {"access_token": "x", "token_type": "Bearer", "id_token": self.encode(claims)}

    def _encode(self, claims: dict[str, Any]) -> str:
        return jwt.encode(self.header, claims, self.key)


async def _drip(send: Any, body: bytes) -> None:
    """Answer after long, and never be long without a byte."""
    await send({"type": "http.response.start", "status": 200, "headers": []})
    for _ in range(10):
        await send({"type": "http.response.body", "body": b" ", "more_body": True})
        await asyncio.sleep(0.05)
    await send({"type": "http.response.body", "body": body})


class Meeting(msgspec.Struct, frozen=True):
    """A town, the provider and our side of it."""

    town: Town
    desk: Desk
    provider: Provider

    async def prove(self, ticket: str = "") -> tuple[str, str]:
        """Sign in and come back."""
        ticket = ticket or _ticket()
        brought = self.desk.sign_in(await self.provider.address(ticket, RETURN_TO))
        person = await self.provider.prove(ticket, RETURN_TO, now=_now(), **brought)
        return person.name, person.id_number


def _ticket(minutes: int = 5) -> str:
    return f"{int(_now().timestamp()) + minutes * 60}.{uuid.uuid4().hex}"


@pytest.fixture
async def meeting(town: Town, tmp_path: Any) -> AsyncIterator[Meeting]:
    (tmp_path / "secret").write_text(f"{SECRET}\n")
    with socket.create_server(("127.0.0.1", 0)) as listening:
        issuer = f"http://127.0.0.1:{listening.getsockname()[1]}"
        desk = Desk(issuer)
        desk.person = {"name": town.anna.name, "id_number": town.anna.id_number}
        config = uvicorn.Config(desk, log_level="critical", lifespan="off")
        server = uvicorn.Server(config)
        task = asyncio.create_task(server.serve([listening]))
        settings = msgspec.structs.replace(
            town.world.settings,
            oidc_issuer=issuer,
            oidc_client_id=CLIENT,
            oidc_secret_file=str(tmp_path / "secret"),
        )
        provider = wiring.provider(settings)
        assert provider
        world = msgspec.structs.replace(town.world, settings=settings)
        try:
            yield Meeting(msgspec.structs.replace(town, world=world), desk, provider)
        finally:
            server.should_exit = True
            await task


async def test_an_honest_answer_proves_who_it_is(meeting: Meeting) -> None:
    anna = meeting.town.anna
    assert await meeting.prove() == (anna.name, anna.id_number)
    meeting.desk.header, meeting.desk.key = {"alg": "RS256", "kid": "two"}, RSA
    meeting.desk.claims = {"aud": [CLIENT, "another"], "azp": CLIENT}
    assert await meeting.prove() == (anna.name, anna.id_number)
    meeting.desk.person = {"xm": "王伟", "zjhm": "YA1234567", "name": anna.name}
    provider = msgspec.structs.replace(meeting.provider, name_claim="xm", id_claim="zjhm")
    renamed = msgspec.structs.replace(meeting, provider=provider)
    assert await renamed.prove() == ("王伟", "YA1234567")


PAST = int(time.time()) - 3600
TAMPERED: dict[str, dict[str, Any]] = {
    "another issuer": {"iss": "http://127.0.0.1:1"},
    "no issuer": {"iss": None},
    "for another client": {"aud": "another"},
    "for others only": {"aud": ["another", "third"]},
    "for nobody": {"aud": None},
    "given to another client": {"aud": [CLIENT, "another"], "azp": "another"},
    "expired": {"exp": PAST},
    "for ever": {"exp": None},
    "not yet": {"nbf": PAST + 7200 + 600},
    "of the future": {"iat": PAST + 7200 + 600},
    "without its time": {"iat": None},
    "another nonce": {"nonce": "another"},
    "no nonce": {"nonce": None},
    "no name": {"name": None},
    "no document": {"id_number": None},
    "a name that is none": {"name": ["王伟"]},
}


async def test_a_token_that_is_not_for_this_very_sign_in_proves_nothing(meeting: Meeting) -> None:
    for what, claims in TAMPERED.items():
        meeting.desk.claims = claims
        with pytest.raises(IdentityUnproven):
            pytest.fail(f"{what}: {await meeting.prove()}")
    meeting.desk.claims = {}
    await meeting.prove()


async def test_a_token_with_another_seal_proves_nothing(meeting: Meeting) -> None:
    desk = meeting.desk

    def written(header: dict[str, str], claims: dict[str, Any]) -> str:
        parts = (msgspec.json.encode(part) for part in (header, claims))
        return ".".join(base64.urlsafe_b64encode(part).decode().rstrip("=") for part in parts)

    def unsigned(claims: dict[str, Any]) -> str:
        return written({"alg": "none"}, claims) + "."

    def confused(claims: dict[str, Any]) -> str:
        text = written({"alg": "HS256", "kid": "one"}, claims)
        seal = hmac.digest(KEY.as_pem(private=False), text.encode(), "sha256")
        return f"{text}.{base64.urlsafe_b64encode(seal).decode().rstrip('=')}"

    def turned(claims: dict[str, Any]) -> str:
        head, body, seal = jwt.encode(desk.header, claims, KEY).split(".")
        other = base64.urlsafe_b64encode(msgspec.json.encode(claims | {"name": "别人"}))
        return ".".join([head, other.decode().rstrip("="), seal]) if body else ""

    ways: list[Callable[[dict[str, Any]], str]] = [
        unsigned,
        confused,
        turned,
        lambda claims: jwt.encode({"alg": "ES256", "kid": "one"}, claims, OTHER),
        lambda claims: jwt.encode({"alg": "ES256", "kid": "new"}, claims, OTHER),
        lambda claims: jwt.encode({"alg": "RS512", "kid": "two"}, claims, RSA, ["RS512"]),
        lambda _: "",
        lambda _: "a.b.c",
        lambda _: "é",
    ]
    for way in ways:
        desk.encode = way
        with pytest.raises(IdentityUnproven):
            pytest.fail(str(await meeting.prove()))


async def test_an_answer_that_another_browser_began_proves_nothing(meeting: Meeting) -> None:
    desk, provider, ticket = meeting.desk, meeting.provider, _ticket()
    brought = desk.sign_in(await provider.address(ticket, RETURN_TO))
    late = _ticket(-1)
    state_late = desk.sign_in(await provider.address(late, RETURN_TO))
    for used, changed in (
        (_ticket(), {}),
        ("", {}),
        ("9" * 12, {}),
        (ticket + "x", {}),
        (ticket, {"state": ""}),
        (ticket, {"state": brought["state"][:-1]}),
        (ticket, {"state": "\ud800é"}),
        (ticket, {"code": "guessed"}),
        (late, state_late),
    ):
        with pytest.raises(IdentityUnproven):
            await provider.prove(used, RETURN_TO, now=_now(), **(brought | changed))
    await provider.prove(ticket, RETURN_TO, now=_now(), **brought)
    with pytest.raises(IdentityUnproven):  # the provider gives a code away once
        await provider.prove(ticket, RETURN_TO, now=_now(), **brought)


async def test_a_provider_that_is_absent_or_another_proves_nothing(
    meeting: Meeting, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk = meeting.desk
    honest, keys = dict(desk.metadata), desk.published
    changes: list[dict[str, Any]] = [
        {"issuer": "http://127.0.0.1:1"},
        {"issuer": f"{desk.issuer}/"},
        {"token_endpoint": f"{desk.issuer}/keys"},
        {"jwks_uri": f"{desk.issuer}/token"},
        {"jwks_uri": "http://127.0.0.1:1/keys"},
        {"jwks_uri": "http://127.0.0.1:99999/keys"},
        {"jwks_uri": f"{desk.issuer}/large"},
        {"jwks_uri": "rubbish"},
        {"token_endpoint": 7},
    ]
    for change in changes:
        desk.metadata = honest | change
        with pytest.raises(IdentityUnproven):
            pytest.fail(str(await meeting.prove()))
    desk.metadata = honest
    odd: list[Any] = [{}, {"keys": 7}, {"keys": [7]}, {"keys": [{"kty": ["EC"]}]}, {"keys": []}]
    for desk.published in odd:
        with pytest.raises(IdentityUnproven):
            pytest.fail(str(await meeting.prove()))
    desk.published = keys
    desk.metadata = honest | {"jwks_uri": f"{desk.issuer}/slow"}
    await meeting.prove()
    monkeypatch.setattr(identity, "_WAIT_SECONDS", 0.2)
    with pytest.raises(IdentityUnproven):
        pytest.fail(str(await meeting.prove()))
    gone = msgspec.structs.replace(meeting.provider, issuer="http://127.0.0.1:1")
    with pytest.raises(IdentityUnproven):
        await gone.address(_ticket(), RETURN_TO)


@contextlib.asynccontextmanager
async def _browsing(site: Site, scheme: str = "http") -> AsyncIterator[httpx.AsyncClient]:
    application: Any = app.application(site)
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(application, False),
        base_url=f"{scheme}://test",
        headers={"accept": "text/html"},
    ) as browser:
        yield browser


async def test_a_holder_signs_on_without_a_second_factor(meeting: Meeting) -> None:
    town, world = meeting.town, meeting.town.world
    async with wiring.site(world.settings, world.address) as site, _browsing(site) as browser:
        assert 'href="/me/identity"' in (await browser.get("/me")).text
        sent = await browser.get("/me/identity")
        assert sent.status_code == 303
        cookie = sent.headers["set-cookie"].lower()
        assert all(part in cookie for part in ("httponly", "samesite=lax", "max-age=600"))
        brought = meeting.desk.sign_in(sent.headers["location"])
        forged = await browser.get("/me/identity/back", params=brought | {"state": "x"})
        assert (forged.status_code, "set-cookie" in forged.headers) == (403, False)
        assert all(way in forged.text for way in ('href="/me/identity"', 'name="id_number"'))
        proved = await browser.get("/me/identity/back", params=brought)
        assert proved.status_code == 200
        assert proved.headers["refresh"] == "0; url=/me/certificates"
        assert 'href="/me/certificates"' in proved.text
        listed = await browser.get("/me/certificates")
        assert town.numbers[1] in listed.text
        again = await browser.get("/me/identity/back", params=brought)
        assert again.status_code == 403


async def test_who_is_known_but_holds_nothing_gets_no_session(meeting: Meeting) -> None:
    meeting.desk.person = {"name": "别人", "id_number": meeting.town.anna.id_number}
    world = meeting.town.world
    async with wiring.site(world.settings, world.address) as site, _browsing(site) as browser:
        sent = await browser.get("/me/identity")
        brought = meeting.desk.sign_in(sent.headers["location"])
        answer = await browser.get("/me/identity/back", params=brought)
        assert "没有查到您的证书" in answer.text
        assert "me" not in browser.cookies
        denied = await browser.get("/me/identity/back", params={"error": "access_denied"})
        assert (denied.status_code, "统一身份认证没有完成" in denied.text) == (403, True)


async def test_without_a_provider_there_is_no_way_to_one(town: Town) -> None:
    async with (
        wiring.site(town.world.settings, town.world.address) as site,
        _browsing(site) as browser,
    ):
        assert "/me/identity" not in (await browser.get("/me")).text
        for path in ("/me/identity", "/me/identity/back"):
            assert (await browser.get(path)).status_code == 404


@pytest.mark.parametrize(
    ("changed", "named"),
    [
        ({"oidc_client_id": ""}, "QIANFA_OIDC_CLIENT_ID"),
        ({"oidc_secret_file": "/nowhere/secret"}, "QIANFA_OIDC_SECRET_FILE"),
    ],
)
def test_a_provider_that_is_half_set_stops_the_start(
    town: Town, changed: dict[str, str], named: str
) -> None:
    given = {"oidc_issuer": "https://id.example", "oidc_client_id": CLIENT} | changed
    with pytest.raises(SettingRefused, match=named):
        wiring.provider(msgspec.structs.replace(town.world.settings, **given))


def _now() -> datetime.datetime:
    return datetime.datetime.now(datetime.UTC)
