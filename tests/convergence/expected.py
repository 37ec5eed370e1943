"""The rows that the pure rules make of what was told, in the shape of the fact views."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from messenger_pipeline.merge import Identity, identity, merge_events, stable_content
from messenger_pipeline.rows import ConversationRow, EventRow
from tests.convergence.telling import Telling


@dataclass
class Known:
    """What is known of a contact's conversation."""

    name: str | None = None
    name_as_of: datetime | None = None
    latest: datetime | None = None  # fact
    gone_at: datetime | None = None


@dataclass
class Expected:
    merged: dict[Identity, EventRow] = field(default_factory=dict)
    owners: dict[Identity, str] = field(default_factory=dict)
    """Of a message told of two contacts whose it is: the first's."""
    nameless: dict[tuple[Any, ...], EventRow] = field(default_factory=dict)
    known: dict[str, Known] = field(default_factory=dict)

    def hear(self, tellings: Iterable[Telling], contacts: dict[str, str]) -> "Expected":
        for telling in tellings:
            if telling.gone is not None:
                one = self.known[contacts[telling.gone]]
                one.gone_at = max(one.gone_at or telling.as_of, telling.as_of)
            for row in telling.rows:
                self._events(row)
            for row in telling.rows:
                if row["sender_id"] in self._senders():
                    self._conversation(row)
        return self

    def events(self) -> list[tuple[Any, ...]]:
        named = [
            (
                self.owners[key],
                row["event_type"],
                row["event_timestamp"],
                key[1],
                key[2],
                _content(row),
            )
            for key, row in self.merged.items()
        ]
        return named + [(*key[:3], None, key[3], _content(r)) for key, r in self.nameless.items()]

    def conversations(self) -> list[tuple[Any, ...]]:
        found = []
        for sender in sorted(self._senders()):
            one = self.known[sender]
            messages = [
                (row["event_timestamp"], key[1], row["metadata"])
                for key, row in self.merged.items()
                if key[0] == "message" and self.owners[key] == sender
            ]
            standing = [message for message in messages if "unsent_at" not in message[2]]
            time, _, metadata = max(standing, key=lambda m: m[:2], default=(None, None, {}))
            text = metadata.get("text", "") if standing else None
            assert one.latest is not None
            gone = one.gone_at is not None and one.gone_at >= one.latest
            status = "deleted" if gone else "active"
            found.append((sender, one.name, text, time, len(messages), status))
        return found

    def _senders(self) -> set[str]:
        return {*self.owners.values(), *(key[0] for key in self.nameless)}

    def _events(self, conversation: ConversationRow) -> None:
        for row in conversation["events"]:
            stated: EventRow = {**row, "as_of": row.get("as_of", conversation["as_of"])}
            if stated["message_id"] is None:
                discriminator = stated.get("discriminator", "")
                key = (stated["event_type"], stated["event_timestamp"], discriminator)
                self.nameless.setdefault((conversation["sender_id"], *key), stated)
                continue
            known = self.merged.get(identity(stated))
            self.merged[identity(stated)] = merge_events(known, stated) if known else stated
            self.owners.setdefault(identity(stated), conversation["sender_id"])

    def _conversation(self, row: ConversationRow) -> None:
        one = self.known.setdefault(row["sender_id"], Known())
        times = [row["as_of"], *(event["event_timestamp"] for event in row["events"])]
        one.latest = max([*times, one.latest or row["as_of"]])
        name = row["sender_name"]
        if name is not None and (
            one.name_as_of is None or (row["as_of"], name) > (one.name_as_of, one.name or "")
        ):
            one.name, one.name_as_of = name, row["as_of"]


def _content(row: EventRow) -> str:
    return stable_content(
        {k: v for k, v in row["metadata"].items() if k not in ("source", "message_id")}
    )
