"""Other answers to collapse, each one function from `Rollouts` and its options to advantages.

Every docstring names its source and how sure the formula is: H read in the authors' code or paper, M taken from others'
summaries, L from memory, D derived here and checked by enumeration in the tests. In all of them r_i is 1 for a correct
and 0 for an incorrect rollout, N the number of scorable rollouts of the group, c of the correct ones; unscorable
rollouts stay out of every count.
"""
