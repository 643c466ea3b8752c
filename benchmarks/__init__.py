"""Speed, each a ratio measured side by side."""
