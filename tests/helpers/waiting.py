"""How long tests wait for something before they fail."""

PATIENCE = 300.0
"""Seconds. Waiting ends as soon as the condition holds, so that only a failure takes this long."""

PATIENCE_MS = round(1000 * PATIENCE)
