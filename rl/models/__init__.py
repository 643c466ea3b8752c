"""Models: from scratch, pretrained, the supervised stage that comes before reinforcement learning."""
