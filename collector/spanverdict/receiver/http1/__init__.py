"""HTTP/1.1 as OTLP needs it: requests with bodies, one after the other (RFC 9110 and 9112)."""
