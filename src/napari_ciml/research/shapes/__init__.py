"""ShapeComposition (section 4.3): whether the filter passes only missing information."""
