"""Asset checks: invariants of the stored rows, and conditions that need attention."""
