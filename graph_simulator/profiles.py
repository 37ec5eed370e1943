"""Profiles of contacts. Meta refuses some of them."""

import hashlib
import time

from graph_simulator.errors import ApiError, not_found
from graph_simulator.fields import Fields
from graph_simulator.history import contact_of, first_contact_id, username
from graph_simulator.page import SimulatedPage
from graph_simulator.world import World

_ONE_IN = 20


def find_contact(world: World, page: SimulatedPage, contact_id: str) -> tuple[SimulatedPage, int]:
    """The inbox and the number of a contact of one of the page's inboxes. Raises ApiError if there
    is no such contact."""
    for platform in ("messenger", "instagram"):
        inbox = world.inbox(page, platform)
        if inbox is not None:
            number = int(contact_id) - first_contact_id(inbox)
            if 0 <= number < len(inbox.lengths):
                return inbox, number
    raise not_found(contact_id)


def is_withheld(contact_id: str) -> bool:
    """Whether the profile is refused. One in twenty is, always the same ones."""
    return hashlib.sha256(contact_id.encode()).digest()[0] % _ONE_IN == 0


def render_profile(page: SimulatedPage, number: int, fields: Fields) -> dict[str, str]:
    """The id and the requested fields of a contact's profile. Raises ApiError."""
    contact_id = str(first_contact_id(page) + number)
    if is_withheld(contact_id):
        raise ApiError(400, 100, "(#100) No profile available for this user.", 2018218)
    contact = contact_of(page, number)
    name = contact.get("name") or contact["username"]
    first, _, last = name.partition(" ")
    profile = {
        "id": contact_id,
        **({"username": username(contact_id)} if page.is_instagram else {}),
        "name": name,
        "first_name": first,
        "last_name": last,
        "profile_pic": "https://platform-lookaside.fbsbx.com/platform/profilepic/"
        f"?psid={contact_id}&width=1024&ext=1785000000&hash={time.time_ns():x}",
    }
    for field in fields:
        if field not in profile:
            raise ApiError(400, 100, f"(#100) Tried accessing nonexisting field ({field})")
    return {field: profile[field] for field in ("id", *fields)}
