"""Types of fields, fields of calls, and conversion of rows to records."""
