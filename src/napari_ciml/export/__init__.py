"""Export of results: volumes, tables, report, DICOM SEG."""
