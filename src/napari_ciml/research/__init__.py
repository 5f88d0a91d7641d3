"""What can be made and measured without a patient: phantoms, and studies on them."""

TABLES = "studies"
"""Folder for what is told of a study: tables, settings, figures."""
