"""Profiles of contacts: their names as a page may ask for them, unless it may not."""

import hashlib
import time

from graph_simulator.history import contact_of, first_contact
from graph_simulator.page import SimulatedPage
from graph_simulator.wire import Fields, Refused, gone

_ONE_IN = 20


def find_contact(page: SimulatedPage, contact_id: str) -> int:
    """The number of a page's contact. Raises Refused if it has none of this id."""
    number = int(contact_id) - first_contact(page)
    if not 0 <= number < len(page.lengths):
        raise gone(contact_id)
    return number


def is_withheld(contact_id: str) -> bool:
    """Whether the profile is refused, as of one in twenty."""
    return hashlib.sha256(contact_id.encode()).digest()[0] % _ONE_IN == 0


def show_profile(page: SimulatedPage, number: int, fields: Fields) -> dict[str, str]:
    """The fields asked for of a contact's profile, and the id. Raises Refused."""
    contact_id = str(first_contact(page) + number)
    if is_withheld(contact_id):
        raise Refused(400, 100, "(#100) No profile available for this user.", 2018218)
    name = contact_of(page, number)["name"]
    first, _, last = name.partition(" ")
    profile = {
        "id": contact_id,
        "name": name,
        "first_name": first,
        "last_name": last,
        "profile_pic": "https://platform-lookaside.fbsbx.com/platform/profilepic/"
        f"?psid={contact_id}&width=1024&ext=1785000000&hash={time.time_ns():x}",
    }
    for field in fields:
        if field not in profile:
            raise Refused(400, 100, f"(#100) Tried accessing nonexisting field ({field})")
    return {field: profile[field] for field in ("id", *fields)}
