"""Faults of rate limits: blocked calls, and usage headers."""

import time
from dataclasses import dataclass
from email.utils import formatdate
from math import ceil

from graph_simulator.call import Call
from graph_simulator.call_log import Block, Hint
from graph_simulator.errors import ApiError
from graph_simulator.faults.types import ALWAYS, call_fault
from graph_simulator.usage import Scope, repeated_usage_header, usage_header


@dataclass(frozen=True)
class _Quota:
    """One of Meta's quotas: its error, and the header with its usage."""

    code: int
    message: str
    usage: Scope
    subcode: int | None = None
    kind: str = "messenger"

    def error(self) -> ApiError:
        return ApiError(400, self.code, self.message, self.subcode)


_QUOTAS = {
    "app_limit": _Quota(4, "(#4) Application request limit reached", "app", 1504022),
    "application_limit": _Quota(341, "(#341) Application limit reached", "app"),
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
    """Refuse a call while a quota blocks it, and record the violation. Raises ApiError."""
    block = call.log.active_block(call.page.id, time.monotonic())
    if block:
        call.log.record_violation(block.quota)
        _refuse(call, block)


@call_fault()
def app_limit(call: Call, *, seconds: float = 2.0, hint: Hint = "retry_after") -> None:
    """Code 4, the app's limit: refuses every call of every page for `seconds`."""
    _block(call, "app_limit", None, seconds, hint)


@call_fault()
def application_limit(call: Call, *, seconds: float = 2.0, hint: Hint = "retry_after") -> None:
    """Code 341, the app's limit by another code: refuses every call of every page for `seconds`."""
    _block(call, "application_limit", None, seconds, hint)


@call_fault()
def token_limit(call: Call, *, seconds: float = 2.0, hint: Hint = "retry_after") -> None:
    """Code 17, the token's limit: refuses every call of the page for `seconds`."""
    _block(call, "token_limit", call.page.id, seconds, hint)


@call_fault()
def page_limit(call: Call, *, seconds: float = 2.0, hint: Hint = "retry_after") -> None:
    """Code 32, the page's limit: refuses every call of the page for `seconds`."""
    _block(call, "page_limit", call.page.id, seconds, hint)


@call_fault()
def custom_limit(call: Call, *, seconds: float = 2.0, hint: Hint = "retry_after") -> None:
    """Code 613, a custom limit: refuses every call of the page for `seconds`."""
    _block(call, "custom_limit", call.page.id, seconds, hint)


@call_fault()
def messenger_limit(call: Call, *, seconds: float = 2.0, hint: Hint = "retry_after") -> None:
    """Code 80006, Messenger's limit: refuses every call of the page for `seconds`."""
    _block(call, "messenger_limit", call.page.id, seconds, hint)


@call_fault()
def pages_limit(call: Call, *, seconds: float = 2.0, hint: Hint = "retry_after") -> None:
    """Code 80001, the limit of pages: refuses every call of the page for `seconds`."""
    _block(call, "pages_limit", call.page.id, seconds, hint)


@call_fault(ALWAYS)
def usage(call: Call, *, percent: int = 80, scope: Scope = "business") -> None:
    """Successes and errors report in a header that `percent` of the quota of `scope` is used."""
    call.headers |= usage_header(scope, call.page.id, percent)


@call_fault(ALWAYS)
def other_usage(call: Call, *, kind: str = "ads_insights", minutes: int = 60) -> None:
    """Successes and errors report that another use case of the business, `kind`, is used up, and
    for how many `minutes`. Its business id stands twice in the header: also with a little use of
    the use case messenger."""
    call.headers |= repeated_usage_header(call.page.id, kind, minutes)


def _is_too_fast(call: Call, calls_per_second: float, slack: int) -> bool:
    return call.log.count_within(call.page.id, 1.0, call.at) > calls_per_second + slack


@call_fault(ALWAYS, condition=_is_too_fast)
def call_rate_limit(call: Call, *, calls_per_second: float = 2.0, slack: int = 1) -> None:
    """Code 613 for each call of a page beyond `calls_per_second` plus `slack` in any second.
    Refused calls count."""
    call.log.record_violation("call_rate_limit")
    raise _QUOTAS["custom_limit"].error()


def _block(call: Call, quota: str, page_id: str | None, seconds: float, hint: Hint) -> None:
    block = Block(quota, page_id, time.monotonic() + seconds, hint)
    call.log.add_block(block)
    _refuse(call, block)


def _refuse(call: Call, block: Block) -> None:
    quota, left = _QUOTAS[block.quota], block.until - time.monotonic()
    if block.hint == "retry_after":
        call.headers["Retry-After"] = str(max(1, ceil(left)))
    if block.hint == "date":
        call.headers["Retry-After"] = formatdate(time.time() + ceil(left), usegmt=True)
    if block.hint == "nonsense":
        call.headers["Retry-After"] = "nan"
    if block.hint == "header":
        call.headers |= usage_header(
            quota.usage, call.page.id, 100, kind=quota.kind, regain_seconds=max(1.0, left)
        )
    raise quota.error()
