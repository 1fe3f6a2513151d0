"""The report of a study, drawn from its run table: verdicts against random, cautions, tables, figures."""
