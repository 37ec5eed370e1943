"""A Graph API to develop, test and demonstrate against, over real HTTP, with every fault that a
sync must survive, by its name.

It imports nothing of the rest of the package: the wire contract is written twice on purpose, so
that a misunderstanding shows.
"""

from messenger_pipeline.simulator.api import create_app
from messenger_pipeline.simulator.faults import KINDS, UnknownFault
from messenger_pipeline.simulator.live import WrongOrder
from messenger_pipeline.simulator.world import World

__all__ = ["KINDS", "UnknownFault", "World", "WrongOrder", "create_app"]
