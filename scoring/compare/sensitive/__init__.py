"""Which examples do architectures rank differently?"""
