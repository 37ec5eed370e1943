"""Live traffic: generated activity on the pages, delivered as signed webhooks."""
