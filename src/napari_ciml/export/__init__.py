"""What leaves the program: label maps, probabilities, maps, tables."""
