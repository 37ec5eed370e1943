"""The rows that the pure merge rules give for a list of writes, in the shape of the fact views."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from messenger_pipeline.merge import (
    ATTACHMENTS,
    CONTENT,
    KEPT_WHEN_UNSENT,
    Identity,
    identity,
    merge_events,
)
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
    stated: dict[Identity, list[EventRow]] = field(default_factory=dict)
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
                self._owner(key),
                row["event_type"],
                row["event_timestamp"],
                key[1],
                key[2],
                _content(self._changed(key)),
            )
            for key, row in self.merged.items()
        ]
        without_id = [(*key[:3], None, key[3], _content(row)) for key, row in self._unclaimed()]
        return with_id + without_id

    def conversations(self) -> list[tuple[Any, ...]]:
        found = []
        unclaimed = self._unclaimed()
        for sender in sorted(self._senders()):
            one = self.contacts[sender]
            messages = [
                # Of one time, a message without an id counts as the last.
                ((row["event_timestamp"], key[1] or "", "", ""), self._changed(key)["metadata"])
                for key, row in self.merged.items()
                if key[0] == "message" and self.owners[key] == sender
            ] + [
                ((key[2], "\U0010ffff", key[1], key[3]), row["metadata"])
                for key, row in unclaimed
                if key[0] == sender and row["event_type"].startswith("message")
            ]
            not_unsent = [message for message in messages if "unsent_at" not in message[1]]
            time, text = None, None
            if not_unsent:
                (time, *_), metadata = max(not_unsent, key=lambda m: m[0])
                text = metadata.get("text", "")
            assert one.latest is not None
            gone = one.gone_at is not None and one.gone_at >= one.latest
            status = "deleted" if gone else "active"
            found.append((sender, one.name, text, time, len(messages), status))
        return found

    def _changed(self, key: Identity) -> EventRow:
        """An event with the effect of edits and unsends."""
        row = self.merged[key]
        if key[0] not in ("message", "edit"):
            return row
        message = self.merged.get(("message", key[1], ""))
        edits = [e for k, e in self.merged.items() if k[:2] == ("edit", key[1])]
        if message is not None and "unsent_at" in message["metadata"]:
            kept = {k: v for k, v in row["metadata"].items() if k in KEPT_WHEN_UNSENT}
            mark = {"message_unsent": True} if key[0] == "edit" else {}
            return {**row, "metadata": kept | mark}
        if key[0] == "message" and edits:
            last = max(edits, key=lambda e: (e["as_of"], e["metadata"]["num_edit"]))
            if last["as_of"] >= self._first_stated(key):
                return {**row, "metadata": row["metadata"] | {"text": last["metadata"]["text"]}}
        return row

    def _first_stated(self, key: Identity) -> datetime:
        """When the content of a message was first stated."""
        content = _replaceable(self.merged[key])
        return min(e["as_of"] for e in self.stated[key] if _replaceable(e) == content)

    def _unclaimed(self) -> list[tuple[tuple[Any, ...], EventRow]]:
        """The events without an id, less the messages that one with an id claims. An unsent one
        claims all that have a text which it ever had."""
        named = Counter(
            _group(self.owners[key], row)
            for key, row in self.merged.items()
            if key[0] == "message" and "unsent_at" not in row["metadata"]
        )
        unsent = {
            (*_group(self.owners[key], row)[:3], text)
            for key, row in self.merged.items()
            if key[0] == "message" and "unsent_at" in row["metadata"]
            for text in self._texts(key[1])
        }
        found = []
        for key in sorted(self.without_id):
            row = self.without_id[key]
            group = _group(key[0], row)
            if group in unsent:
                pass
            elif row["event_type"].startswith("message") and named[group]:
                named[group] -= 1
            else:
                found.append((key, row))
        return found

    def _texts(self, message_key: str) -> set[str | None]:
        """All texts that a message ever had, by statements and edits."""
        return {
            one["metadata"].get("text")
            for key, rows in self.stated.items()
            if key[0] in ("message", "edit") and key[1] == message_key
            for one in rows
            if "unsent_at" not in one["metadata"]
        }

    def _owner(self, key: Identity) -> str:
        """The contact whose conversation an event is in: that of the message that it names."""
        return self.owners.get(("message", key[1], ""), self.owners[key])

    def _senders(self) -> set[str]:
        return {*map(self._owner, self.owners), *(key[0] for key in self.without_id)}

    def _apply_events(self, conversation: ConversationRow) -> None:
        for row in conversation["events"]:
            dated: EventRow = {**row, "as_of": row.get("as_of", conversation["as_of"])}
            if dated["message_id"] is None:
                discriminator = dated.get("discriminator", "")
                key = (dated["event_type"], dated["event_timestamp"], discriminator)
                self.without_id.setdefault((conversation["sender_id"], *key), dated)
                continue
            # The first is merged with itself: that normalizes its attachments.
            self.stated.setdefault(identity(dated), []).append(dated)
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


def _replaceable(row: EventRow) -> str:
    kept = set(CONTENT) - {*ATTACHMENTS}
    return stable_content({k: v for k, v in row["metadata"].items() if k in kept})


def _group(sender: str, row: EventRow) -> tuple[Any, ...]:
    second = row["event_timestamp"].replace(microsecond=0)
    return sender, row["event_type"], second, row["metadata"].get("text")


def _content(row: EventRow) -> str:
    return stable_content(
        {k: v for k, v in row["metadata"].items() if k not in ("source", "message_id")}
    )
