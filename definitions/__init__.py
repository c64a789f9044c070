"""Generates from the tap's schemas: meltano.yml, the Hub definition, tables of the docs."""
