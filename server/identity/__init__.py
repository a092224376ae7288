"""People, their logins and their tokens."""
