"""A simulated Graph API, served over real HTTP, to develop, test and demonstrate against.

It serves seeded pages of any size, injects each fault that a sync must survive by name (`faults/`),
and delivers signed webhooks for live traffic (`live/`). An admin API under `/_simulator/` controls
it, and returns the messages that a correct sync must have stored (`admin_api.py`).

Nothing here imports `messenger_pipeline`. The wire contract is written twice on purpose, once in
the client and once here, each from Meta's documentation: if one of them is wrong, tests fail.
Shared code would make the same mistake on both sides, and tests would pass.
"""

from graph_simulator.api import create_app
from graph_simulator.bodies import APP_ID
from graph_simulator.faults.injector import FAULT_TYPES, InvalidFault
from graph_simulator.live.traffic import InvalidLiveSettings
from graph_simulator.world import World

__all__ = ["APP_ID", "FAULT_TYPES", "InvalidFault", "InvalidLiveSettings", "World", "create_app"]
