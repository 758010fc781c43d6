"""Tests of rules: traces in a compact notation or from files, and what the rules should say of them."""
