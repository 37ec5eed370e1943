"""What roles other than the schema's owner may do, and what row level security hides."""

from messenger_pipeline.db.pool import Database
from messenger_pipeline.errors import BlindRole


def grant_role(database: Database, role: str, purpose: str) -> None:
    """Give a role what a `sync`, a `receiver` or a `reader` needs. Raises UpgradeRefused if it does
    not exist."""
    database.call("grant_role", role=role, purpose=purpose)


def require_sight(database: Database) -> None:
    """Raise BlindRole if row level security hides rows of ours."""
    blindness = find_blindness(database)
    if blindness:
        raise BlindRole(blindness)


def find_blindness(database: Database) -> str | None:
    """Return where row level security hides rows of ours, and the remedy."""
    found: str | None = database.value("describe_blindness")
    return found
