"""Certificates: claims of T5 to T12 proved by exact rationals and interval arithmetic (python-flint's Arb)."""
