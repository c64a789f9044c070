"""Which days to ask for, and reading them."""
