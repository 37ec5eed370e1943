"""Alerts: detecting what is wrong, and sending notifications."""
