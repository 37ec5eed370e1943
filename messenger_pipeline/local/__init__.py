"""Everything on one machine: the stack, the demo, development."""
