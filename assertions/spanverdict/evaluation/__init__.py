"""Rules and spans → events and outcomes. Pure: no input or output, no clock, prints nothing."""
