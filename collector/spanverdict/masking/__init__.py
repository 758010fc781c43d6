"""Masking: what must not be kept is taken out of spans before anything of them is stored."""
