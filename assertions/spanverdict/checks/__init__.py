"""One file a measure; `CHECKS` in `catalogue` lists them all."""
