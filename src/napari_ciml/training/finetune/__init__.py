"""Learning from corrected cases."""
