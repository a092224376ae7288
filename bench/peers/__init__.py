"""What the server is set beside, in the same run on the same machine."""
