"""The columns of the tables that the assets are, for Dagster's catalogue.

Written down, not looked up: nothing here asks a database at import. A test compares them with the
database, so that they cannot drift.
"""

import dagster as dg

_CONVERSATIONS = """
id uuid! The conversation's own id; events refer to it.
user_id text Owner of the page, as given at `pages add --user-id`.
page_id text! Facebook's page id.
sender_id text! The contact: an id that Meta gives a person for this page only.
sender_name text The latest name that Meta gave; empty if it gave none.
sender_name_as_of timestamptz When Meta stated that name.
last_message text Text of the newest message that is not unsent; empty for a picture or sticker.
last_message_time timestamptz When that message was sent.
message_count integer! Messages stored, unsent ones too.
conversation_status text! active, or deleted: no longer listed by Meta. Rows stay.
deleted_at timestamptz When Meta was found to list it no longer.
version integer! 0 at first, one more on each real change.
created_at timestamptz! When it was first stored.
updated_at timestamptz! When it last changed; a sync that finds nothing new leaves it.
"""

_EVENTS = """
id uuid! The event's own id.
conversation_id uuid! Whose it is: messenger_conversations.id.
page_id text! Facebook's page id.
event_type text! message_received, message_sent, reaction, edit, read and others.
event_timestamp timestamptz! When it happened; whole seconds where the API told it.
message_id text Meta's message id as first given; empty for what has none.
discriminator text! What tells two events of one kind on one message apart.
as_of timestamptz! When the source stated the stored content; a later statement replaces it.
metadata jsonb! Source, text, attachments, reactions, unsent_at and the like.
created_at timestamptz! When it was first stored.
"""

_DELIVERIES = """
id bigint! In the order in which deliveries came.
body bytea! As Meta sent it, byte for byte.
received_at timestamptz! When it was committed; Meta was answered right after.
state text! pending, done, ignored (nothing of ours in it) or failed (something is quarantined).
attempts integer! How often it was tried.
outcomes jsonb What became of each item, where not all of them were simply applied.
last_error text Why it could not be applied, the last time.
not_before timestamptz When it is to be applied (again); empty while it waits for a page.
waiting_for ARRAY Pages that are not registered: it is applied when one of them is.
settled_at timestamptz When it was last applied, ignored or given up.
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
"""By table; `!` above says: never NULL."""
