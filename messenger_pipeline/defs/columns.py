"""The columns of the assets' tables, for Dagster's catalogue.

They are written here because an import must not query a database. A test compares them with the
database.
"""

import dagster as dg

_CONVERSATIONS = """
id uuid! The conversation's id; events refer to it.
user_id text Owner of the page, as given at `pages add --user-id`.
page_id text! Facebook's page id.
sender_id text! The contact: Meta's id of a person, valid for this page only.
sender_name text The latest name from Meta; empty if there was none.
sender_name_as_of timestamptz When Meta stated that name.
last_message text Text of the newest message that is not unsent; empty if it has no text.
last_message_time timestamptz When that message was sent.
message_count integer! Messages stored, unsent ones too.
conversation_status text! active, or deleted: no longer listed by Meta. Rows stay.
deleted_at timestamptz When a sync found that Meta no longer lists it.
version integer! 0 at first; each real change increments it.
created_at timestamptz! When it was first stored.
updated_at timestamptz! When it last changed; a sync without news does not change it.
"""

_EVENTS = """
id uuid! The event's id.
conversation_id uuid! Its conversation: messenger_conversations.id.
page_id text! Facebook's page id.
event_type text! message_received, message_sent, reaction, edit, read and others.
event_timestamp timestamptz! When it happened; in whole seconds if only the API stated it.
message_id text Meta's message id as first received; empty for events without one.
discriminator text! Separates events of one kind on the same message.
as_of timestamptz! When the source stated the stored content; a later statement replaces it.
first_as_of timestamptz When it first stated that content, if earlier than as_of.
metadata jsonb! Source, text, attachments, reactions, unsent_at and the like.
created_at timestamptz! When it was first stored.
"""

_DELIVERIES = """
id bigint! Ascending in the order of receipt.
body bytea! As Meta sent it, byte for byte.
received_at timestamptz! When it was committed; the answer to Meta followed.
state text! pending, done, ignored (it holds no event) or failed (an item is quarantined).
attempts integer! Attempts to apply it.
outcomes jsonb The outcome of each item; empty if all were applied.
last_error text Why the last attempt failed.
not_before timestamptz When the next attempt is due; empty while it waits for a page.
waiting_for ARRAY Unregistered pages; registering one of them makes it due.
settled_at timestamptz When it was last applied, ignored or failed.
"""


def _schema(text: str) -> dg.TableSchema:
    columns = []
    for line in text.strip().splitlines():
        name, kind, description = line.split(" ", 2)
        columns.append(
            dg.TableColumn(
                name,
                kind.rstrip("!"),
                description=description,
                constraints=dg.TableColumnConstraints(nullable=not kind.endswith("!")),
            )
        )
    return dg.TableSchema(columns)


SCHEMAS = {
    "messenger_conversations": _schema(_CONVERSATIONS),
    "contact_interaction_events": _schema(_EVENTS),
    "webhook_inbox": _schema(_DELIVERIES),
}
"""By table. Above, `!` means not null."""
