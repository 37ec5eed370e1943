"""HTTP: the webhook receiver, the control API, the status page and the metrics."""
