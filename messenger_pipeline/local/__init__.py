"""Everything on one machine: the stack, the demonstration, development."""
