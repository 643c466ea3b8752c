"""Differential smoothing (arXiv 2511.19942): the term, the methods beside it, and a trainer for TRL.

`differential_smoothing.smoothing` is the term, on tensors; `.methods` every method by name; `.trl` the trainer;
`.passk` unbiased Pass@k. Nothing here needs the rest of the repository.
"""
