"""Webhook deliveries: what they say, and how they become events."""
