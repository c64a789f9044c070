"""Extraction of call logs: plans windows of days and reads them, without I/O."""
