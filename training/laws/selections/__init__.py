"""What a selection is worth, as scaling laws tell it: learning curves, multipliers, crossings, a verdict.

compared = compare_selections(run_table_of_study("study.parquet"), metric="error")      comparison, from_studies
print(compared)                                                                         sentences
compared["hardest by el2n"].multipliers["D"].interval                                   multipliers
compared["hardest by el2n"].crossings.found                                             crossing
"""
