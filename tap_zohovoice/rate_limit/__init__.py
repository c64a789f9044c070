"""Rate limiter and its shared store."""
