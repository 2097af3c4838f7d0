"""Rules that manifests must keep, each a small function with its source, checked against what is in the store."""
