"""Progress of a run: a live line at a terminal, log lines elsewhere."""
