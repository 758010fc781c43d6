"""One file a report format; each reads the events of a run and writes to a stream by the end of it."""
