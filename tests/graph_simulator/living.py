"""Live traffic of a simulator, ordered and told."""

from typing import Any

from tests.conftest import Simulated
from tests.graph_simulator.receiving import Sink, wait_until

SECRET = "an app secret"


def order(simulated: Simulated, **asked: Any) -> dict[str, Any]:
    told: dict[str, Any] = simulated.backstage("POST", "live", asked)
    return told


def told(simulated: Simulated) -> dict[str, Any]:
    found: dict[str, Any] = simulated.backstage("GET", "live")
    return found


def run(simulated: Simulated, sink: Sink, things: int, **asked: Any) -> dict[str, Any]:
    """Let about so many things happen, and all of them be acknowledged. None comes late unless
    ordered."""
    order(simulated, **{"per_second": 1000, "webhook_url": sink.url, "disorder": 0, **asked})
    wait_until(lambda: told(simulated)["happened"] >= things)
    order(simulated, per_second=0)
    wait_until(lambda: told(simulated)["waiting"] == 0)
    return told(simulated)
