"""What is set aside: claims of deliveries, failing drains, discarded records."""

from messenger_pipeline.db.migrate import run_beside

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    run_beside(__file__, "up")


def downgrade() -> None:
    run_beside(__file__, "down")
