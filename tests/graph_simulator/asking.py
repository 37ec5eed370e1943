"""Plain calls of the simulated Graph API, as any client makes them."""

from typing import Any
from urllib.parse import parse_qs, urlsplit

import requests

from tests.conftest import Simulated

FIELDS = "id,updated_time,participants,messages.limit(25){id,created_time,from,message,attachments}"
"""What a sync asks of a list of threads."""


def ask(
    simulated: Simulated, path: str, page: int = 0, timeout: float = 30, **query: Any
) -> requests.Response:
    """A call with the token of a page."""
    return requests.get(
        f"{simulated.url}/v26.0/{path}",
        query,
        headers={"Authorization": f"Bearer {simulated.pages[page].token}"},
        timeout=timeout,
    )


def ask_list(simulated: Simulated, page: int = 0, **query: Any) -> requests.Response:
    return ask(simulated, f"{simulated.pages[page].id}/conversations", page, **query)


def ask_thread(simulated: Simulated, number: int = 0, **query: Any) -> requests.Response:
    return ask(simulated, thread_id(simulated, number), **query)


def ask_messages(simulated: Simulated, number: int = 0, **query: Any) -> requests.Response:
    return ask(simulated, f"{thread_id(simulated, number)}/messages", **query)


def thread_id(simulated: Simulated, number: int) -> str:
    return simulated.world.thread_id(simulated.page, number)


def error(response: requests.Response) -> tuple[int, int | None, int | None]:
    """Status, code and subcode of a refusal."""
    told = response.json()["error"]
    return response.status_code, told.get("code"), told.get("error_subcode")


def after_of(body: dict[str, Any]) -> str | None:
    """Where a list goes on; from `next` where cursors are absent."""
    paging = body.get("paging", {})
    if "next" not in paging:
        return None
    after: str = (
        paging.get("cursors", {}).get("after")
        or parse_qs(urlsplit(paging["next"]).query)["after"][0]
    )
    return after


def walk(simulated: Simulated, limit: int, **query: Any) -> list[list[int]]:
    """The numbers of the threads in each answer of the list, to its end."""
    answers: list[list[int]] = []
    asked: dict[str, Any] = {"limit": limit, **query}
    while True:
        body = ask_list(simulated, **asked).json()
        numbers = [simulated.world.find_thread(thread["id"]) for thread in body["data"]]
        answers.append([found[1] for found in numbers if found])
        asked["after"] = after_of(body)
        if asked["after"] is None:
            return answers


def walk_through(simulated: Simulated, limit: int) -> list[int]:
    """The numbers of the threads in the order in which the whole list shows them."""
    return [number for answer in walk(simulated, limit) for number in answer]
