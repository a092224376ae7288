"""What becomes of messages: scores, policies that make verdicts of them, and what people decide on what was held."""
