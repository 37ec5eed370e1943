"""What knowing that something is wrong needs."""

from messenger_pipeline.db.migrate import run_beside

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    run_beside(__file__, "up")


def downgrade() -> None:
    run_beside(__file__, "down")
