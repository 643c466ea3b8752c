"""Experiments as data: their settings, their run folders, their progress. No torch here."""
