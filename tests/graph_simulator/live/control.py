"""Controls the live traffic of a simulator by its admin API."""

from typing import Any

from tests.conftest import Simulated
from tests.graph_simulator.webhook_sink import Sink, wait_until

SECRET = "an app secret"


def configure(simulated: Simulated, **settings: Any) -> dict[str, Any]:
    """Change the live traffic. Returns its status."""
    found: dict[str, Any] = simulated.admin("POST", "live", settings)
    return found


def status(simulated: Simulated) -> dict[str, Any]:
    found: dict[str, Any] = simulated.admin("GET", "live")
    return found


def run(simulated: Simulated, sink: Sink, events: int, **settings: Any) -> dict[str, Any]:
    """Generate about this many events, and wait until all are acknowledged. By default no delivery
    is delayed. Returns the status."""
    configure(simulated, **{"per_second": 1000, "webhook_url": sink.url, "delays": 0, **settings})
    wait_until(lambda: status(simulated)["events"] >= events)
    configure(simulated, per_second=0)
    wait_until(lambda: status(simulated)["pending"] == 0)
    return status(simulated)
