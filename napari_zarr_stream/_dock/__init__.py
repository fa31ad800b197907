"""Forms and sections of the dock, and what stands behind them."""
