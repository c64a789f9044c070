"""A Singer tap for Zoho Voice."""
