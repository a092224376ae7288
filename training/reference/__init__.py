"""The scorer in plain Python integers: what the model is trained on, and the oracle that the Rust one is held to."""
