"""The walk of one page: its list, the gaps below it, and what a full one did not see."""
