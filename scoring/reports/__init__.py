"""Reports: sections of answers, and the folder of text, numbers and figures that they become."""
