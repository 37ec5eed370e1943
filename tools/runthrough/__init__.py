"""Records docs/runthrough.md: a real stack, a real browser, injected faults."""
