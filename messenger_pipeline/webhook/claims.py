"""Counts the batches that drains take, so that a delivery that ends its process is recognized."""

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from weakref import WeakKeyDictionary

from messenger_pipeline.db import inbox
from messenger_pipeline.db.pool import Database
from messenger_pipeline.errors import DatabaseError

_log = logging.getLogger(__name__)
_unreturned: WeakKeyDictionary[Database, list[int]] = WeakKeyDictionary()
"""Claims that could not be returned, because the database was away."""


@contextmanager
def counted_claim(database: Database) -> Iterator[Callable[[list[int]], None]]:
    """Yields a function that counts the deliveries as claimed, in a commit of its own.

    Settling them deletes the claim. If the block raises, the process is alive, so the claim is
    returned; only one that was killed leaves it.
    """
    return_claims(database)
    claims: list[int] = []
    try:
        yield lambda ids: claims.append(inbox.count_claim(database, ids))
    except BaseException:
        _unreturned.setdefault(database, []).extend(claims)
        return_claims(database)
        raise


def return_claims(database: Database) -> None:
    """Return the claims of batches that were not settled. If that fails, the next call does."""
    claims = _unreturned.pop(database, [])
    if not claims:
        return
    try:
        inbox.return_claims(database, claims)
    except DatabaseError as error:
        _unreturned.setdefault(database, []).extend(claims)
        _log.info("claims could not be returned, retrying: %s", error)
