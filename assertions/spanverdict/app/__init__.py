"""The only room that joins the others: what `serve`, `run` and `check` do."""
