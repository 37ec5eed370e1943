"""The receiver under load: how many deliveries it stores durably, how soon, and at what cost."""
