"""How Alembic runs our migrations: on a connection of the caller's, in its transaction, or printed."""

from alembic import context

options = context.config.attributes["options"]
connection = context.config.attributes.get("connection")
if connection is None:
    # The printed script is one transaction, which begins before and ends behind the migrations.
    context.configure(dialect_name="postgresql", transactional_ddl=False, **options)
else:
    context.configure(connection=connection, **options)
with context.begin_transaction():
    context.run_migrations()
