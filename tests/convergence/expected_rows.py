"""The rows that the pure merge rules give for a list of writes, in the shape of the fact views."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from messenger_pipeline.merge import Identity, identity, merge_events
from messenger_pipeline.rows import ConversationRow, EventRow
from messenger_pipeline.stable import stable_content
from tests.convergence.writes import Write


@dataclass
class Contact:
    """The conversation of a contact."""

    name: str | None = None
    name_as_of: datetime | None = None
    latest: datetime | None = None  # fact
    gone_at: datetime | None = None


@dataclass
class ExpectedRows:
    merged: dict[Identity, EventRow] = field(default_factory=dict)
    owners: dict[Identity, str] = field(default_factory=dict)
    """The contact of each event. If writes state two, the first one."""
    without_id: dict[tuple[Any, ...], EventRow] = field(default_factory=dict)
    contacts: dict[str, Contact] = field(default_factory=dict)

    def apply(self, writes: Iterable[Write], contact_of: dict[str, str]) -> "ExpectedRows":
        for write in writes:
            if write.gone is not None:
                one = self.contacts[contact_of[write.gone]]
                one.gone_at = max(one.gone_at or write.as_of, write.as_of)
            for row in write.rows:
                self._apply_events(row)
            for row in write.rows:
                if row["sender_id"] in self._senders():
                    self._apply_conversation(row)
        return self

    def events(self) -> list[tuple[Any, ...]]:
        with_id = [
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
        without_id = [
            (*key[:3], None, key[3], _content(row)) for key, row in self.without_id.items()
        ]
        return with_id + without_id

    def conversations(self) -> list[tuple[Any, ...]]:
        found = []
        for sender in sorted(self._senders()):
            one = self.contacts[sender]
            messages = [
                (row["event_timestamp"], key[1], row["metadata"])
                for key, row in self.merged.items()
                if key[0] == "message" and self.owners[key] == sender
            ]
            not_unsent = [message for message in messages if "unsent_at" not in message[2]]
            time, _, metadata = max(not_unsent, key=lambda m: m[:2], default=(None, None, {}))
            text = metadata.get("text", "") if not_unsent else None
            assert one.latest is not None
            gone = one.gone_at is not None and one.gone_at >= one.latest
            status = "deleted" if gone else "active"
            found.append((sender, one.name, text, time, len(messages), status))
        return found

    def _senders(self) -> set[str]:
        return {*self.owners.values(), *(key[0] for key in self.without_id)}

    def _apply_events(self, conversation: ConversationRow) -> None:
        for row in conversation["events"]:
            dated: EventRow = {**row, "as_of": row.get("as_of", conversation["as_of"])}
            if dated["message_id"] is None:
                discriminator = dated.get("discriminator", "")
                key = (dated["event_type"], dated["event_timestamp"], discriminator)
                self.without_id.setdefault((conversation["sender_id"], *key), dated)
                continue
            # The first is merged with itself: that normalizes its attachments.
            known = self.merged.get(identity(dated), dated)
            self.merged[identity(dated)] = merge_events(known, dated)
            self.owners.setdefault(identity(dated), conversation["sender_id"])

    def _apply_conversation(self, row: ConversationRow) -> None:
        one = self.contacts.setdefault(row["sender_id"], Contact())
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
