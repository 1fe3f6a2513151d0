"""How much of several scores is one difficulty?"""
