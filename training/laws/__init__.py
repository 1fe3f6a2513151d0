"""Scaling laws: fitted to runs, with their uncertainty, judged by what they predict.

table = read_run_table("runs.csv", {"N": "params", "D": "tokens"}, ["loss"])    run_table: one row per run and metric
law = fit(chinchilla(), table.inputs, table["value"])                           fit; forms/ by name in catalog
law.cautions                                                                    cautions: read these first
resampled = bootstrap(law); resampled.interval("alpha")                         uncertainty/
compute_optimal(resampled, 1e21).N                                              optimal, isoflop
evaluate(chinchilla(), table.inputs, table["value"], below=1e20).worst_error    evaluation, extrapolation
summary(law, resampled)                                                         words/: one paragraph
save_law("law.json", law, resampled); predict(load_law("law.json"), {...})      law_file, predicting
bootstrap_map(relate(table, Series("web", "loss"), Series("code", "loss")))     loss_to_loss/: one loss from another
compare_selections(table, "random", metric="error")                             selections/: what a selection is worth
best_keep_fraction(bootstrap(pools), sizes, budgets).verdict(0)                 repetition/: repeated data
bootstrap_chain(fit_chain(ladder_runs(run, inputs, bpb, accuracy)))             tasks/: task results, pass@k
fit_curves([LossCurve(schedule, steps, losses)]).predict(cosine(24_000, 3e-4))  annealing/: learning-rate schedules
best_mixture(fit_mixture(proportions, losses))                                  mixtures/: of data
rank_agreement(small, large).accuracy                                           evaluations/: benchmark scores
law_report(table, LawRequest(law="chinchilla")).write(Path("out"))              analysis/: what `tamis fit` does
"""
