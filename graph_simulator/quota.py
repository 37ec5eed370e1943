"""Faults of quotas: calls that are refused until a time, and usage that is told."""

import time
from dataclasses import dataclass
from math import ceil
from typing import Literal

from graph_simulator.call import Call
from graph_simulator.kinds import ALWAYS, fault
from graph_simulator.ledger import Block
from graph_simulator.usage import Scope, usage_header
from graph_simulator.wire import Refused

Told = Literal["retry_after", "header", "no"]
"""How it is told when access comes back: by Retry-After, by the usage headers, or not at all."""


@dataclass(frozen=True)
class _Quota:
    """A quota of Meta's, how it is told that it is used up, and where its usage is told."""

    code: int
    message: str
    usage: Scope
    subcode: int | None = None
    kind: str = "messenger"


_QUOTAS = {
    "app_limit": _Quota(4, "(#4) Application request limit reached", "app", 1504022),
    "token_limit": _Quota(17, "(#17) User request limit reached", "app"),
    "page_limit": _Quota(32, "(#32) Page request limit reached", "page"),
    "custom_limit": _Quota(
        613, "(#613) Calls to this api have exceeded the rate limit.", "page", 1996
    ),
    "messenger_limit": _Quota(
        80006, "(#80006) There have been too many calls to this Messenger account.", "business"
    ),
    "pages_limit": _Quota(
        80001, "(#80001) There have been too many calls to this Page account.", "business",
        kind="pages",
    ),
}  # fmt: skip


def check_blocks(call: Call) -> None:
    """Refuse a call that comes while a quota is used up. Raises Refused."""
    block = call.ledger.blocked(call.page.id, time.monotonic())
    if block:
        call.ledger.violate(block.quota)
        _refuse(call, block)


@fault()
def app_limit(call: Call, *, seconds: float = 2.0, told: Told = "retry_after") -> None:
    """Code 4, the app's limit: no call of any page is answered for `seconds`."""
    _block(call, "app_limit", None, seconds, told)


@fault()
def token_limit(call: Call, *, seconds: float = 2.0, told: Told = "retry_after") -> None:
    """Code 17, the token's limit: no call of the page is answered for `seconds`."""
    _block(call, "token_limit", call.page.id, seconds, told)


@fault()
def page_limit(call: Call, *, seconds: float = 2.0, told: Told = "retry_after") -> None:
    """Code 32, the page's limit: no call of the page is answered for `seconds`."""
    _block(call, "page_limit", call.page.id, seconds, told)


@fault()
def custom_limit(call: Call, *, seconds: float = 2.0, told: Told = "retry_after") -> None:
    """Code 613, a custom limit: no call of the page is answered for `seconds`."""
    _block(call, "custom_limit", call.page.id, seconds, told)


@fault()
def messenger_limit(call: Call, *, seconds: float = 2.0, told: Told = "retry_after") -> None:
    """Code 80006, Messenger's limit: no call of the page is answered for `seconds`."""
    _block(call, "messenger_limit", call.page.id, seconds, told)


@fault()
def pages_limit(call: Call, *, seconds: float = 2.0, told: Told = "retry_after") -> None:
    """Code 80001, the limit of pages: no call of the page is answered for `seconds`."""
    _block(call, "pages_limit", call.page.id, seconds, told)


@fault(ALWAYS)
def usage(call: Call, *, percent: int = 80, scope: Scope = "business") -> None:
    """Successes and errors tell that `percent` of the quota of `scope` is used up."""
    call.headers |= usage_header(scope, call.page.id, percent)


def _too_fast(call: Call, calls_per_second: float, slack: int) -> bool:
    return call.ledger.within(call.page.id, 1.0, call.at) > calls_per_second + slack


@fault(ALWAYS, when=_too_fast)
def speed_limit(call: Call, *, calls_per_second: float = 2.0, slack: int = 1) -> None:
    """Code 613 for each call of a page that is more than `calls_per_second` and `slack` within
    any second; refused calls count."""
    call.ledger.violate("speed_limit")
    quota = _QUOTAS["custom_limit"]
    raise Refused(400, quota.code, quota.message, quota.subcode)


def _block(call: Call, quota: str, page_id: str | None, seconds: float, told: Told) -> None:
    block = Block(quota, page_id, time.monotonic() + seconds, told)
    call.ledger.block(block)
    _refuse(call, block)


def _refuse(call: Call, block: Block) -> None:
    quota, left = _QUOTAS[block.quota], block.until - time.monotonic()
    if block.told == "retry_after":
        call.headers["Retry-After"] = str(max(1, ceil(left)))
    if block.told == "header":
        call.headers |= usage_header(
            quota.usage, call.page.id, 100, kind=quota.kind, regain_seconds=max(1.0, left)
        )
    raise Refused(400, quota.code, quota.message, quota.subcode)
