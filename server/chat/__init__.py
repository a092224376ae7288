"""Conversations of two people or a group: who is in them, what was said, and who has read it."""
