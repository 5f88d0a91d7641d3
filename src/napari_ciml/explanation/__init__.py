"""What each auxiliary modality added: complementary-information maps and weights (section 4.6)."""
