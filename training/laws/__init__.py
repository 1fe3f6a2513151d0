"""Scaling laws: fitted to runs, with their uncertainty, judged by what they predict.

table = read_run_table("runs.csv", {"N": "params", "D": "tokens"}, ["loss"])    run_table
law = fit(chinchilla(), table.inputs, table["value"])                           fit, forms/, catalog
law.cautions                                                                    what speaks against it
bootstrap(law).interval("alpha")                                                uncertainty, profile, delta_method
compute_optimal(law, 1e21).N                                                    optimal, isoflop
evaluate(chinchilla(), table.inputs, table["value"], below=1e20).worst_error    evaluation
relate(table, Series("web", "loss"), Series("code", "loss")).predict(2.5)       loss_to_loss
"""
