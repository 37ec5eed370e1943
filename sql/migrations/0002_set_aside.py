"""What is set aside: gaps, parts of lists, claimed deliveries, failing drains, records."""

from messenger_pipeline.db.migrate import run_beside

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    run_beside(__file__, "up")


def downgrade() -> None:
    run_beside(__file__, "down")
