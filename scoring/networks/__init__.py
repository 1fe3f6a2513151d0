"""What models are made of: networks, and how examples become their inputs. The face is ``scoring.models``."""
