"""Evaluation: exact by enumeration, or from samples."""
