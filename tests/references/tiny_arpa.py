"""An n-gram model of three words in the text format of KenLM."""

ARPA = """\\data\\
ngram 1=5
ngram 2=2

\\1-grams:
-1.0\t<unk>\t0
0\t<s>\t-0.3
-0.9\t</s>\t0
-0.5\tsea\t-0.2
-0.7\tcalm\t0

\\2-grams:
-0.1\t<s> sea
-0.4\tsea calm

\\end\\
"""
