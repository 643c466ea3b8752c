"""Base advantages: what the rewards of a group alone give each rollout."""
