"""The API under fire: whatever is sent, no fault of ours, and answers as the description says."""

import asyncio
import socket
import threading
from collections.abc import Iterator
from concurrent.futures import Future
from typing import Any

import msgspec
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, settings
from schemathesis.specs.openapi.checks import negative_data_rejection

from service import wiring
from service.web import app, guards, public
from service.web.limits import Limiter, Rate, Rule
from tests.world import World

_RAISED = dict.fromkeys(Rule, Rate(10**6, 60))


@pytest.fixture(scope="module")
def url(shared_world: World) -> Iterator[str]:
    """The address of the real server, in a thread of its own."""
    with pytest.MonkeyPatch.context() as patch, socket.create_server(("127.0.0.1", 0)) as listening:
        patch.setattr(public, "NUMBER_SECONDS_MIN", 0)
        ready: Future[asyncio.Event] = Future()
        thread = threading.Thread(
            target=lambda: asyncio.run(_serve(shared_world, listening, ready))
        )
        thread.start()
        server: Any = ready.result(30)
        try:
            yield f"http://127.0.0.1:{listening.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join(20)


async def _serve(world: World, listening: socket.socket, ready: "Future[Any]") -> None:
    async with wiring.site(world.settings, world.address) as site:
        unlimited = msgspec.structs.replace(site, limits=Limiter(rates=_RAISED))
        server = guards.server(app.application(unlimited))
        ready.set_result(server)
        await server.serve([listening])


_application: Any = app.application(None)  # type: ignore[arg-type]  # only described, never asked
_REFUSED = {"expected-statuses": ["400", "405", "413", "415"]}
schema = schemathesis.openapi.from_dict(
    _application._inner.openapi_schema.to_schema(),
    config=schemathesis.Config.from_dict({"checks": {"negative_data_rejection": _REFUSED}}),
)


@schemathesis.serializer("application/pdf", "image/png", "image/jpeg")
def _raw(_: Any, value: Any) -> bytes:
    return value if isinstance(value, bytes) else str(value).encode("utf-8", "replace")


_FIRE = settings(
    deadline=None,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
    database=None,
    derandomize=True,
)


@schema.parametrize()
@settings(_FIRE, max_examples=25)
def test_whatever_is_sent_is_answered_as_described(case: Any, url: str) -> None:
    _fire(case, url)


@pytest.mark.long
@schema.parametrize()
@settings(_FIRE, max_examples=400)
def test_whatever_is_sent_for_longer_is_answered_as_described(case: Any, url: str) -> None:
    _fire(case, url)


def _fire(case: Any, url: str) -> None:
    by_design = [negative_data_rejection] if case.path == "/api/v1/verdicts" else []  # of an item
    answer = case.call_and_validate(base_url=url, timeout=20, excluded_checks=by_design)
    assert answer.status_code < 500
