"""What a population says: intervals, tables, the report at the end of a run."""
