"""Research code that no reviewer needs: phantoms, benchmark, and studies of the paper's claims."""

TABLES = "studies"
"""Name of the folder for the tables, settings and figures of studies."""
