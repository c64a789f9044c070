"""Singer messages and state."""
