"""Series of DICOM files: found, told apart, understood, read. Headers need no SimpleITK."""
