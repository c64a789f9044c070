"""The streams of the tap, one module per family of endpoints."""
