"""An application that cannot be loaded."""
raise RuntimeError("broken on import")
