"""What FastAPI passes to the routes: the objects that create_app stored in the app's state."""

from typing import Annotated

from fastapi import Depends, Request

from messenger_pipeline.db.pool import Database
from messenger_pipeline.web.auth import Authenticator
from messenger_pipeline.web.session_feed import SessionFeed
from messenger_pipeline.web.waits import Waits

# Asynchronous, because FastAPI would run them in a thread otherwise.


async def _database(request: Request) -> Database:
    database: Database = request.app.state.database
    return database


async def _auth(request: Request) -> Authenticator:
    auth: Authenticator = request.app.state.auth
    return auth


async def _feed(request: Request) -> SessionFeed:
    feed: SessionFeed = request.app.state.feed
    return feed


async def _waits(request: Request) -> Waits:
    waits: Waits = request.app.state.waits
    return waits


DatabaseDependency = Annotated[Database, Depends(_database)]
AuthDependency = Annotated[Authenticator, Depends(_auth)]
FeedDependency = Annotated[SessionFeed, Depends(_feed)]
WaitsDependency = Annotated[Waits, Depends(_waits)]
