"""Keeping what is published: everything read back, what no manifest names, and the way back from a copy."""
