"""Ablations: variants trained with equal budgets and scored on the same pairs."""
