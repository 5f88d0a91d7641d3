"""Studies of the claims in section 4 of the paper, on synthetic data or on a data set."""
