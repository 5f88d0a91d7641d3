"""The layers of a case: what is in them, how they look, where they come from; no controls."""
