"""Alerts: what a verdict means for those on duty, signed, sent, retried, and taken back when it is over.

`decide` is pure: verdict and known states in, messages and state changes out. The store keeps both
in one transaction; `Courier` sends what the store keeps until it has arrived or is given up.
"""
