"""`make demo`: a row of switches, a controller that turns hostile, and a live table of the channels that stay up."""
