"""Complementary-information maps and weights (section 4.6): what each auxiliary modality added."""
