"""What the trainer keeps beside TRL: generation, the first batches, numbers for the log, earlier answers."""
