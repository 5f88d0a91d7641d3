"""Studies: what of the paper's section 4 holds, on data anyone can make, or on one's own."""
