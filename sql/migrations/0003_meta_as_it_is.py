"""Meta as it is: what is restated, and which messages without an id are claimed."""

from messenger_pipeline.db.migrate import run_beside

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    run_beside(__file__, "up")


def downgrade() -> None:
    run_beside(__file__, "down")
