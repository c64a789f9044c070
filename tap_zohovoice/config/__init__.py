"""Settings of the tap."""
