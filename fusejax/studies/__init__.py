"""Ablations: variants trained with equal budgets and scored on the same pairs.

`ablation` describes one as data, `variants` helps to write the variants down, `preparation` says
what has to exist first, `run` trains and scores, `tables` and `grids` present the result.
"""
