"""Webhook deliveries: parsing their items, and applying them as events."""
