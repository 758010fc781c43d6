"""Flows drafted from observed traffic: stages, requests and limits as they were seen, to be corrected by people."""
