"""Webhook deliveries under load: how many are kept durably, how soon, and what it costs."""
