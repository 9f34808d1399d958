"""Tests of the house itself: budgets, imports, words."""
