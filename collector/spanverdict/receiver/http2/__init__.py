"""HTTP/2 as far as a server needs it that answers each request once: RFC 9113 and RFC 7541, pure but for `listener`."""
