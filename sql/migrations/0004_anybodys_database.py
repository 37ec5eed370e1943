"""What a database that others own and fill asks for: adoption, roles, indexes for great tables."""

from messenger_pipeline.db.migrate import run_beside

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    run_beside(__file__, "up")


def downgrade() -> None:
    run_beside(__file__, "down")
