"""Asset checks: what must never be, and what somebody must know."""
