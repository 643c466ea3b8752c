"""The checks: for each theorem an independent oracle, and mutations of the code that the check must notice."""
