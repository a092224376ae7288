"""What the parts above stand on: clock, timers, ids, keys, cursors."""
