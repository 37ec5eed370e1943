"""Meta's Graph API: its answers, its errors, its limits."""
