"""Fields of the streams, and conversion of rows to records."""
