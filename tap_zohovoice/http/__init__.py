"""HTTP layer: session, bodies, responses."""
