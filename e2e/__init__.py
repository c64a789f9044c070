"""End-to-end tests: the tap, run by Meltano, into real targets."""
