"""ShapeComposition (section 4.3): whether the filter passes what is missing, and only that."""
