"""Quality learned from examples of good and bad documents: what is learned from, features, classifiers, folds."""
