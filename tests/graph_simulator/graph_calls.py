"""Plain calls of the simulated Graph API, as any client makes them."""

from typing import Any
from urllib.parse import parse_qs, urlsplit

import requests

from tests.conftest import Simulated

FIELDS = (
    "id,updated_time,participants,message_count,"
    "messages.limit(25){id,created_time,from,message,attachments}"
)
"""The fields that a sync requests of a list of threads."""


def get(
    simulated: Simulated, path: str, page: int = 0, timeout: float = 30, **query: Any
) -> requests.Response:
    """Make a call with the token of a page."""
    return requests.get(
        f"{simulated.url}/v26.0/{path}",
        query,
        headers={"Authorization": f"Bearer {simulated.pages[page].token}"},
        timeout=timeout,
    )


def get_list(simulated: Simulated, page: int = 0, **query: Any) -> requests.Response:
    return get(simulated, f"{simulated.pages[page].id}/conversations", page, **query)


def get_thread(simulated: Simulated, number: int = 0, **query: Any) -> requests.Response:
    return get(simulated, thread_id(simulated, number), **query)


def get_messages(simulated: Simulated, number: int = 0, **query: Any) -> requests.Response:
    return get(simulated, f"{thread_id(simulated, number)}/messages", **query)


def thread_id(simulated: Simulated, number: int) -> str:
    return simulated.world.thread_id(simulated.page, number)


def error(response: requests.Response) -> tuple[int, int | None, int | None]:
    """The status, code and subcode of an error response."""
    body = response.json()["error"]
    return response.status_code, body.get("code"), body.get("error_subcode")


def next_cursor(body: dict[str, Any]) -> str | None:
    """The cursor of the next page of a list, taken from `next` if there are no cursors."""
    paging = body.get("paging", {})
    if "next" not in paging:
        return None
    after: str = (
        paging.get("cursors", {}).get("after")
        or parse_qs(urlsplit(paging["next"]).query)["after"][0]
    )
    return after


def walk(simulated: Simulated, limit: int, **query: Any) -> list[list[int]]:
    """The numbers of the threads in each response of the list, to its end."""
    responses: list[list[int]] = []
    parameters: dict[str, Any] = {"limit": limit, **query}
    while True:
        body = get_list(simulated, **parameters).json()
        numbers = [simulated.world.find_thread(thread["id"]) for thread in body["data"]]
        responses.append([found[1] for found in numbers if found])
        parameters["after"] = next_cursor(body)
        if parameters["after"] is None:
            return responses


def walk_flat(simulated: Simulated, limit: int) -> list[int]:
    """The numbers of the threads in list order, to its end."""
    return [number for response in walk(simulated, limit) for number in response]
