"""The run-through of docs/runthrough.md: a real stack, a real browser, things that go wrong."""
