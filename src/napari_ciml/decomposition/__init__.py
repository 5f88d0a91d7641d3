"""Decompositions: regions, subtasks and messages; edits of them; presets."""
