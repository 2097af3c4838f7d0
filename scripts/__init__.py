"""Who asks: the operators' command line, ingest, and the developers' one-word commands."""
