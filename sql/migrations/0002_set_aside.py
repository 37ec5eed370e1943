"""What is set aside: retried later, or resumed by a person."""

from messenger_pipeline.db.migrate import run_beside

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    run_beside(__file__, "up")


def downgrade() -> None:
    run_beside(__file__, "down")
