"""One file for each moment at which an EHR asks; found by folder, and none knows another."""
