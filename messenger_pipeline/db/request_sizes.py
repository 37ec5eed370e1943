"""The sizes of requests that Meta answers, remembered for each page."""

from dataclasses import dataclass

from messenger_pipeline.db.pool import Database


@dataclass(frozen=True)
class StoredSize:
    """The size of a page's requests of one kind that Meta answered after it had refused a larger
    one: `size_limit` records, with `nested_limit` messages in each. `patience` is the number of
    answers before a larger size is tried."""

    size_limit: int
    nested_limit: int
    patience: int


@dataclass(frozen=True)
class _Row:
    request: str
    size_limit: int
    nested_limit: int
    patience: int


def list_request_sizes(database: Database, page_id: str) -> dict[str, StoredSize]:
    """Return the remembered sizes of a page by the kind of request."""
    found: list[_Row] = database.call("list_request_sizes", _Row, page_id=page_id)
    return {
        one.request: StoredSize(one.size_limit, one.nested_limit, one.patience) for one in found
    }


def save_request_size(
    database: Database, page_id: str, request: str, size: StoredSize | None
) -> None:
    """Remember the size of a page's requests of one kind; None: forget it."""
    database.call(
        "save_request_size",
        page_id=page_id,
        request=request,
        size_limit=size and size.size_limit,
        nested_limit=size and size.nested_limit,
        patience=size and size.patience,
    )
