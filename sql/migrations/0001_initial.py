"""The initial tables."""

from messenger_pipeline.db.migrate import run_beside

revision = "0001"
down_revision = None


def upgrade() -> None:
    run_beside(__file__, "up")


def downgrade() -> None:
    run_beside(__file__, "down")
