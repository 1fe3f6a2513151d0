"""Would other runs have ranked alike, and how many runs are enough?"""
