"""Flow tables: one priority order, two visibilities, and the classifier that finds the deciding flow."""
