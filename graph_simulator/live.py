"""Live traffic: things happen at a rate, and webhooks tell them."""

import asyncio
import random
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from graph_simulator.activity import Happenings
from graph_simulator.deliveries import Deliveries, Receiver
from graph_simulator.world import World

_TOGETHER = (1, 1, 1, 1, 1, 1, 2, 2, 3, 5)  # how many things one delivery tells
_BEHIND_SECONDS = 1.0  # how much a machine that was busy makes up for


class WrongOrder(ValueError):
    """Live traffic that cannot be; the message tells why."""


class Order(BaseModel):
    """Live traffic from now on; what is not given stays as it is. A seed begins anew."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)

    per_second: float = Field(ge=0)
    webhook_url: str | None = None
    seed: int | None = None
    repeats: float | None = Field(default=None, ge=0, le=1)
    disorder: float | None = Field(default=None, ge=0, le=1)


class Live:
    """The live traffic of a world; none until it is ordered."""

    def __init__(
        self, world: World, app_secret: str | None, webhook_url: str | None, per_second: float
    ) -> None:
        """Raises WrongOrder if webhooks cannot be delivered there."""
        self._world = world
        self._secret = app_secret
        self._per_second = 0.0
        self._happened = 0
        self._going_on: asyncio.Task[None] | None = None
        self._deliveries = Deliveries(world.seed)
        self._deliveries.direct(self._receiver(webhook_url))
        self._begin(world.seed)
        self._at_first = self._parse({"per_second": per_second})

    @asynccontextmanager
    async def lifespan(self, _: object) -> AsyncIterator[None]:
        """From the start of the server to its end, which gives up what is not acknowledged."""
        self._follow(self._at_first)
        yield
        if self._going_on:
            self._going_on.cancel()
        await self._deliveries.close()

    def order(self, asked: object) -> None:
        """Start, change or, by a rate of 0, end what happens. What is not acknowledged yet is
        delivered even so. Raises WrongOrder."""
        order = self._parse(asked)
        receiver = self._receiver(order.webhook_url)
        self._deliveries.direct(receiver, repeats=order.repeats, disorder=order.disorder)
        self._follow(order)

    def told(self) -> dict[str, float]:
        """The rate, how much happened, and what became of the deliveries."""
        if self._going_on and self._going_on.done():
            self._going_on.result()  # it has no end but an error, which whoever asks is to see
        counts = self._deliveries.told()
        return {"per_second": self._per_second, "happened": self._happened, **counts}

    def _parse(self, asked: object) -> Order:
        """Raises WrongOrder."""
        try:
            order = Order.model_validate(asked)
        except ValidationError as error:
            wrong = (f"{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in error.errors())
            known = ", ".join(Order.model_fields)
            raise WrongOrder(f"{'; '.join(wrong)}. Known are: {known}.") from None
        if order.per_second and not order.webhook_url and not self._deliveries.directed:
            raise WrongOrder("Live traffic needs a webhook_url that is told of it.")
        return order

    def _follow(self, order: Order) -> None:
        if order.seed is not None:
            self._begin(order.seed)
        if self._going_on:
            self._going_on.cancel()
        self._per_second = order.per_second
        going_on = self._go_on(order.per_second) if order.per_second else None
        self._going_on = asyncio.create_task(going_on) if going_on else None

    def _begin(self, seed: int) -> None:
        self._chance = random.Random(f"{seed}:together")
        self._happenings = Happenings(self._world, seed)
        self._deliveries.begin(seed)

    def _receiver(self, url: str | None) -> Receiver | None:
        if not url:
            return None
        if not self._secret:
            raise WrongOrder("Webhooks are signed with the app secret: start with --app-secret.")
        try:
            return Receiver(url, self._secret)
        except ValueError as error:
            raise WrongOrder(f"webhook_url: {error}") from None

    async def _go_on(self, per_second: float) -> None:
        due = time.monotonic()
        while True:
            together = self._chance.choice(_TOGETHER)
            now = datetime.now(UTC)
            self._deliveries.deliver([self._happenings.happen(now) for _ in range(together)])
            self._happened += together
            due = max(due + together / per_second, time.monotonic() - _BEHIND_SECONDS)
            await asyncio.sleep(max(0.0, due - time.monotonic()))
