"""Index, classify and read DICOM series. Reading headers does not need SimpleITK."""
