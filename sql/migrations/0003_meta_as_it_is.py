"""Meta as it is: accounts with several ids, contacts without one."""

from messenger_pipeline.db.migrate import run_beside

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    run_beside(__file__, "up")


def downgrade() -> None:
    run_beside(__file__, "down")
