"""How the replaced application writes: upserts of conversations and inserts of events, each a
transaction of its own, as its client of the database's REST interface sends them."""

from datetime import datetime
from types import TracebackType
from typing import Any, Self

import psycopg
from psycopg.types.json import Jsonb

from tools.replaced_application.shape import Shape


class OldWriter:
    """The old application at work in a database of `shape`, with its role's rights."""

    def __init__(self, url: str, shape: Shape, schema: str = "public") -> None:
        self._shape = shape
        self._connection = psycopg.connect(url, autocommit=True)
        self._connection.execute(f'set search_path to "{schema}"')
        self._connection.execute("set role replaced_application")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._connection.close()

    def receive(self, account_id: str, sender_id: str, text: str, at: datetime) -> str:
        """Store a message as its webhook does. Returns the conversation's id. With no unique
        constraint it reads first, so two at once make a duplicate."""
        page = self._page(account_id)
        if self._shape.conflict_columns is None:
            found = self._connection.execute(
                "select id from messenger_conversations where page_id = %s and sender_id = %s",
                (page["page_id"], sender_id),
            ).fetchone()
            if found is not None:
                return str(self._update(found[0], text, at))
        return str(self._upsert(page, sender_id, text, at))

    def add_event(
        self, conversation_id: str, message_id: str | None, text: str, at: datetime,
        source: str = "initial_sync",
    ) -> None:  # fmt: skip
        """Insert an event, as its sync does for each message."""
        metadata = {"source": source, "text": text}
        if message_id is not None:
            metadata["message_id"] = message_id
        columns, values = "", ""
        if self._shape.has_message_column:
            columns, values = ", message_id", ", %(message_id)s"
        self._connection.execute(
            "insert into contact_interaction_events"
            f" (conversation_id, event_type, event_timestamp, metadata{columns})"
            f" values (%(id)s::text::{self._shape.ids}, 'message_received', %(at)s, %(metadata)s"
            f"{values})",
            {
                "id": conversation_id,
                "at": at,
                "metadata": Jsonb(metadata),
                "message_id": message_id,
            },
        )

    def _page(self, account_id: str) -> dict[str, Any]:
        row = self._connection.execute(
            "select id, user_id from facebook_pages where facebook_page_id = %s"
            " order by created_at limit 1",
            (account_id,),
        ).fetchone()
        assert row is not None, account_id
        # As text, which PostgreSQL reads as the column's type, like all that its client sends.
        page_id = str(row[0]) if self._shape.refers_to_page else account_id
        return {"page_id": page_id, "user_id": row[1]}

    def _upsert(self, page: dict[str, Any], sender_id: str, text: str, at: datetime) -> Any:
        conflict = self._shape.conflict_columns
        row = self._connection.execute(
            "insert into messenger_conversations (user_id, page_id, sender_id, sender_name,"
            " last_message, last_message_time, conversation_status, updated_at)"
            " values (%(user_id)s, %(page_id)s, %(sender_id)s, %(name)s, %(text)s, %(at)s,"
            " 'active', now())"
            + (
                f" on conflict ({conflict}) do update set sender_name = excluded.sender_name,"
                " last_message = excluded.last_message,"
                " last_message_time = excluded.last_message_time, updated_at = now()"
                if conflict
                else ""
            )
            + " returning id",
            {
                **page,
                "sender_id": sender_id,
                "name": f"Name of {sender_id}",
                "text": text,
                "at": at,
            },
        ).fetchone()
        assert row is not None
        return row[0]

    def _update(self, conversation_id: Any, text: str, at: datetime) -> Any:
        self._connection.execute(
            "update messenger_conversations set last_message = %s, last_message_time = %s,"
            " updated_at = now() where id = %s",
            (text, at, conversation_id),
        )
        return conversation_id
