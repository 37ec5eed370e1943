"""Live traffic: generates activity at a rate, and delivers it by webhooks."""

import asyncio
import random
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from graph_simulator.live.activity import Activity, ActivityGenerator
from graph_simulator.live.deliveries import Deliveries
from graph_simulator.live.endpoint import WebhookEndpoint
from graph_simulator.world import World

_PER_DELIVERY = (1, 1, 1, 1, 1, 1, 2, 2, 3, 5)  # events
_MAX_LAG_SECONDS = 1.0  # a busy machine catches up on this much, and skips the rest


class InvalidLiveSettings(ValueError):
    """The requested live traffic is impossible. The message gives the reason."""


class LiveSettings(BaseModel):
    """Live traffic from now on. Omitted settings keep their value; a seed restarts the sequence of
    events."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)

    per_second: float = Field(ge=0)
    webhook_url: str | None = None
    seed: int | None = None
    repeats: float | None = Field(default=None, ge=0, le=1)
    delays: float | None = Field(default=None, ge=0, le=1)
    changes: float | None = Field(default=None, ge=0, le=1)
    echoes: bool | None = None
    covered_contacts: int | None = Field(default=None, ge=0)


@dataclass(frozen=True)
class Coverage:
    """What webhooks bring of what happens: echoes or not, and of how many contacts (of the threads
    with the lowest numbers; None: all), as for an app without Advanced Access."""

    echoes: bool = True
    contacts: int | None = None

    def changed(self, settings: LiveSettings) -> "Coverage":
        return Coverage(
            self.echoes if settings.echoes is None else settings.echoes,
            self.contacts if settings.covered_contacts is None else settings.covered_contacts,
        )

    def includes(self, activity: Activity) -> bool:
        if not self.echoes and activity.item.get("message", {}).get("is_echo"):
            return False
        return self.contacts is None or activity.number < self.contacts


class LiveTraffic:
    """The live traffic of a world, off until it is configured with a rate."""

    def __init__(
        self, world: World, app_secret: str | None, webhook_url: str | None, per_second: float
    ) -> None:
        """Raises InvalidLiveSettings."""
        self._world = world
        self._secret = app_secret
        self._per_second = 0.0
        self._events = 0
        self._coverage = Coverage()
        self._task: asyncio.Task[None] | None = None
        self._deliveries = Deliveries(world.seed)
        self._deliveries.configure(self._endpoint(webhook_url))
        self._reseed(world.seed)
        self._initial = self._parse({"per_second": per_second})

    @asynccontextmanager
    async def lifespan(self, _: object) -> AsyncIterator[None]:
        """Run from the start of the server to its end, which abandons pending deliveries."""
        self._apply(self._initial)
        yield
        if self._task:
            self._task.cancel()
        await self._deliveries.close()

    def configure(self, settings: object) -> None:
        """Start, change or (with a rate of 0) stop the traffic. Pending deliveries are still sent.
        Raises InvalidLiveSettings."""
        parsed = self._parse(settings)
        endpoint = self._endpoint(parsed.webhook_url)
        self._deliveries.configure(
            endpoint, repeats=parsed.repeats, delays=parsed.delays, changes=parsed.changes
        )
        self._coverage = self._coverage.changed(parsed)
        self._apply(parsed)

    def status(self) -> dict[str, float]:
        """The rate, the number of events so far, and the deliveries (see Deliveries.counts)."""
        if self._task and self._task.done():
            self._task.result()  # it only ends by an error, which the caller gets
        counts = self._deliveries.counts()
        return {"per_second": self._per_second, "events": self._events, **counts}

    def _parse(self, settings: object) -> LiveSettings:
        """Raises InvalidLiveSettings."""
        try:
            parsed = LiveSettings.model_validate(settings)
        except ValidationError as error:
            wrong = (f"{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in error.errors())
            known = ", ".join(LiveSettings.model_fields)
            raise InvalidLiveSettings(f"{'; '.join(wrong)}. Known settings: {known}.") from None
        if parsed.per_second and not parsed.webhook_url and not self._deliveries.has_endpoint:
            raise InvalidLiveSettings("Live traffic needs a webhook_url to deliver to.")
        return parsed

    def _apply(self, settings: LiveSettings) -> None:
        if settings.seed is not None:
            self._reseed(settings.seed)
        if self._task:
            self._task.cancel()
        self._per_second = settings.per_second
        running = self._run(settings.per_second) if settings.per_second else None
        self._task = asyncio.create_task(running) if running else None

    def _reseed(self, seed: int) -> None:
        self._chance = random.Random(f"{seed}:together")
        self._generator = ActivityGenerator(self._world, seed)
        self._deliveries.reseed(seed)

    def _endpoint(self, url: str | None) -> WebhookEndpoint | None:
        if not url:
            return None
        if not self._secret:
            raise InvalidLiveSettings(
                "Webhooks are signed with the app secret: start with --app-secret."
            )
        try:
            return WebhookEndpoint(url, self._secret)
        except ValueError as error:
            raise InvalidLiveSettings(f"webhook_url: {error}") from None

    async def _run(self, per_second: float) -> None:
        due = time.monotonic()
        while True:
            count = self._chance.choice(_PER_DELIVERY)
            now = datetime.now(UTC)
            happened = [self._generator.generate(now) for _ in range(count)]
            if covered := [one for one in happened if self._coverage.includes(one)]:
                self._deliveries.send(covered)
            self._events += count
            due = max(due + count / per_second, time.monotonic() - _MAX_LAG_SECONDS)
            await asyncio.sleep(max(0.0, due - time.monotonic()))
