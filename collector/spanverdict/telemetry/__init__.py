"""The words of the field: spans, identifiers, and the table that holds a run's spans."""
