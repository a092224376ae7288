"""What the domains stand on: clock, ids, keys."""
